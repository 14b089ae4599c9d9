"""How the contact came: its first and its last touch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import touches
from crm.people.touches import Standing, Touch
from journeys.rules.terms.lead_source import ATTRIBUTES, KINDS
from models import Contact
from storage import origin


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    """`names`: what people call the keys, files and members among the sources."""

    standing: Standing
    names: dict[str, str]


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data | None:
    standing = touches.of(session, [contact.id]).get(contact.id)
    if standing is None:
        return None
    ids = {touch.source_id for touch in standing if touch.source_id}
    members = {f"member:{id}": name for id, name in member_names(session).items()} if any(one.startswith("member:") for one in ids) else {}
    return Data(standing, origin.names_of(session, ids) | members)


def aside(context: PageContext, contact: Contact, data: Data | None, acts: Acts) -> Element:
    if data is None:
        return None
    t, (first, last) = context.t, data.standing
    if first == last:
        return _touch(t, t("First and last touch"), first, data)
    return html._(_touch(t, t("First touch"), first, data), _touch(t, t("Last touch"), last, data))


def _touch(t: Translator, title: str, touch: Touch, data: Data) -> Element:
    return html._(html.h3(title), components.facts(_facts(t, touch, data)))


def _facts(t: Translator, touch: Touch, data: Data) -> Iterator[tuple[str, Element]]:
    yield t(ATTRIBUTES["kind"]), t(KINDS[touch.kind])
    yield t("When"), components.moment(t, touch.at)
    for attribute, title in ATTRIBUTES.items():
        value = getattr(touch, attribute)
        if attribute != "kind" and value:
            yield t(title), data.names.get(value, value)


def stamp(session: Session, contact: Contact) -> object:
    return touches.of(session, [contact.id])


PANEL = Panel("sources", "Lead source", load, aside=aside, stamp=stamp)
