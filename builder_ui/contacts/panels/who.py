"""Who the contact is: everything it is known and reached by, its owner, and when it was last seen."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components, labels
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import phones
from crm.people.contacts import names_of
from journeys import postal
from models import Contact, Member

IDENTITIES = {"user_id": "User id", "anonymous_id": "Anonymous id", "email": "E-mail", "phone": "Phone", postal.FIELD: "Postal address"}


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    identities: list[tuple[str, str]]
    phones: list[str]
    """All numbers, the main one first."""
    owner: str
    """The owner's name; empty: the contact has none."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    return Data(names_of(session, contact.id), phones.of(session, contact), owner_of(session, contact))


def owner_of(session: Session, contact: Contact) -> str:
    member = session.get(Member, contact.owner) if contact.owner else None
    return member.name if member else contact.owner or ""


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    pairs: list[tuple[str, Element]] = [(coded(t, IDENTITIES, kind), named(kind, value)) for kind, value in identifiers(contact, data)]
    if problem := labels.postal_problem(t, contact):
        pairs.append((t("Address check"), components.badge(problem, "bad sentence", "ban")))
    known = (
        (t("Owner"), data.owner),
        (t("Language"), t.language_of(contact.locale) if contact.locale else ""),
        (t("Time zone"), contact.timezone),
    )
    pairs += [(title, value) for title, value in known if value]
    pairs.append((t("Created"), components.moment(t, contact.created_at)))
    seen = contact.last_seen_at
    pairs.append((t("Last seen"), components.relative(context, seen) if seen else t("never, according to tracking")))
    return components.facts(pairs)


def identifiers(contact: Contact, data: Data) -> list[tuple[str, str]]:
    """(kind, value) of everything the contact is known and reached by, each once."""
    address = contact.postal_address
    post = [(postal.FIELD, labels.address(postal.FIELD, address))] if address else []
    return list(dict.fromkeys([*data.identities, *(("phone", number) for number in data.phones), *post]))


def named(kind: str, value: str) -> Element:
    """An identifier; a phone calls, a mail program writes."""
    scheme = {"phone": "tel", "email": "mailto"}.get(kind)
    return html.a({"href": f"{scheme}:{value}"}, value) if scheme else value


PANEL = Panel("who", "Profile", load, aside=aside)
