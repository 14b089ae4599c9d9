"""The devices on which a contact gets push messages, and a way to take one away. What a device's address is nobody is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.labels import coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import devices
from models import Device

KINDS: Mapping[str, str] = {"web": "Browser", "android": "Android app", "ios": "iOS app"}


def view(context: PageContext, contact_id: str, found: Sequence[Device], acts: Acts) -> Element:
    t = context.t
    if not found:
        return components.empty("bell", t("No devices: this contact gets no push messages."), None)
    columns = [t(text) for text in ("Device", "Site or app", "Language", "Added", "Last seen", "")]
    return html._(
        html.p({"className": "quiet"}, t("Push messages go to all of these devices. A device that is gone is removed by itself.")),
        components.table(t("Devices"), columns, [_cells(context, contact_id, one, acts) for one in found], "devices"),
    )


def _cells(context: PageContext, contact_id: str, one: Device, acts: Acts) -> list[Element]:
    t = context.t
    return [
        html.b(coded(t, KINDS, one.kind)),
        one.app or "–",
        t.language_of(one.language) if one.language else "–",
        components.moment(t, one.created_at),
        components.relative(context, one.last_seen_at),
        components.ask(
            t("Remove"),
            t("Remove this device? The contact gets no push messages on it until it registers again."),
            t("Remove"),
            acts.act("contact.change", removing(contact_id, one.id or 0), "The device was removed."),
            "ban",
        )
        if context.may("contact.change")
        else "",
    ]


def removing(contact_id: str, device_id: int) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            devices.remove(session, contact_id, device_id, context.by, context.app.now())

    return do
