"""The segments the contact is in, and since when."""

from __future__ import annotations

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element
from builder_ui.segments import of_contact
from crm.segments.members import Membership
from models import Contact


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> list[Membership]:
    return of_contact.load(session, contact.id)


def aside(context: PageContext, contact: Contact, found: list[Membership], acts: Acts) -> Element:
    return of_contact.links(context, contact.id, found) if found else None


def stamp(session: Session, contact: Contact) -> object:
    return of_contact.load(session, contact.id)


PANEL = Panel("segments", "Segments", load, aside=aside, stamp=stamp)
