"""What people change about a contact by hand (`edit`)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts import edit
from builder_ui.contacts.panels import consents
from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element
from builder_ui.segments import of_contact
from crm.consent import mailbox
from crm.people import phones
from crm.people.unmerge import newest as newest_merge
from crm.segments.members import Membership
from models import ConsentState, Contact, Merge, Tag
from workspace import listed_names


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    contact: Contact
    tags: list[str]
    consents: list[ConsentState]
    members: dict[str, str]
    merge: Merge | None
    """The merge that can be undone."""
    purposes: dict[str, str]
    """Consent purpose -> what people call it; message ids."""
    suppressed: dict[str, mailbox.Refused]
    phones: list[str]
    segments: list[Membership]
    lists: dict[str, str]
    """Key -> name of the segments that are kept by hand."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data | None:
    if not opened:
        return None
    return Data(
        contact,
        list(session.scalars(select(Tag.tag).where(Tag.contact_id == contact.id).order_by(Tag.tag))),
        list(session.scalars(select(ConsentState).where(ConsentState.contact_id == contact.id))),
        member_names(session),
        newest_merge(session, contact.id),
        listed_names.labels(session, "purposes", context.t.language),
        consents.suppressions(context, session, contact),
        phones.of(session, contact),
        of_contact.load(session, contact.id),
        of_contact.lists(session),
    )


def may_open(context: PageContext, contact: Contact) -> bool:
    return context.may("contact.change") and contact.erased_at is None


def view(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    return edit.view(context, data, acts)


PANEL = Panel("edit", "Change", load, view=view, may_open=may_open)
