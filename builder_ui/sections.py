"""The settings have several pages: which there are, who sees them, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Iterable

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.permits import ADMINS, ANYONE, EDITORS, Roles
from builder_ui.visit import Visit

SECTIONS: tuple[tuple[str, str, Roles], ...] = (
    ("/ui/settings", "My account", ANYONE),
    ("/ui/settings/users", "Users", ANYONE),
    ("/ui/settings/rotations", "Rotations", ANYONE),
    ("/ui/settings/workspace/sender", "Sender", ANYONE),
    ("/ui/settings/workspace/quiet_hours", "Quiet hours", ANYONE),
    ("/ui/settings/workspace/frequency_caps", "Frequency caps", ANYONE),
    ("/ui/settings/workspace/calendar", "Working hours", ANYONE),
    ("/ui/settings/workspace/tracking", "Tracking", ANYONE),
    ("/ui/settings/work", "Long work", ANYONE),
    ("/ui/settings/events", "Waiting events", ANYONE),
    ("/ui/settings/keys", "Keys", ADMINS),
    ("/ui/settings/secrets", "Secrets", EDITORS),
    ("/ui/settings/audit", "Audit trail", ADMINS),
)
"""(address, message id, who sees it)"""


def framed(visit: Visit, title: str, lead: str, *content: Element, wide: bool = False) -> Element:
    """A page of the settings, below the list of all of them."""
    speech = visit.speech
    return html._(
        parts.head(speech(title), speech(lead) if lead else None),
        html.nav({"className": "tabs sections", "aria-label": speech("Settings")}, _links(visit)),
        html.div({"className": "settings wide" if wide else "settings"}, *content),
    )


def _links(visit: Visit) -> list[Element]:
    return [_link(visit, address, text) for address, text in _seen(visit)]


def _seen(visit: Visit) -> Iterable[tuple[str, str]]:
    return ((address, text) for address, text, roles in SECTIONS if visit.may(roles))


def _link(visit: Visit, address: str, text: str) -> Element:
    here = visit.path == address or (address == "/ui/settings/users" and visit.path.startswith("/ui/settings/users/"))
    attributes = {"href": address, "key": address, "className": "tab here" if here else "tab"}
    return html.a({**attributes, **({"aria-current": "page"} if here else {})}, visit.speech(text))


def panel(title: str, *content: Element) -> Element:
    return html.section({"className": "panel"}, html.h2(title), *content)


def barred(visit: Visit, title: str) -> Element:
    """What somebody sees whose role does not reach here."""
    return framed(visit, title, "", parts.empty("lock", visit.speech("Your role does not allow this."), None))
