"""Buttons that write a note on the contact and log a call. What they wrote stands on the timeline."""

from __future__ import annotations

from sqlalchemy.orm import Session

from builder_ui.contacts import writing_notes
from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import notes
from models import Contact


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> None:
    """The timeline shows them."""


def action(context: PageContext, contact: Contact, data: None, acts: Acts) -> Element:
    if not context.may("note.write") or contact.erased_at is not None:
        return None
    return html._(writing_notes.new_note(context, contact.id, acts), writing_notes.new_call(context, contact.id, acts))


def stamp(session: Session, contact: Contact) -> object:
    """A text that is changed, and a note that goes, are no events."""
    return [(one.id, one.changed_at) for one in notes.newest(session, contact.id, 20)]


PANEL = Panel("notes", "Notes", load, action=action, stamp=stamp)
