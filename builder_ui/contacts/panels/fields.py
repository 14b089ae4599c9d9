"""What is known about the contact in the workspace's own fields."""

from __future__ import annotations

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components, labels
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import short
from builder_ui.kit.reactpy_compat import Element
from crm.catalogue import field_titles
from models import Contact

MOST = 40


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> dict[str, str]:
    """Field -> its title in this workspace, where it has one."""
    return field_titles(session) if contact.attributes else {}


def aside(context: PageContext, contact: Contact, titles: dict[str, str], acts: Acts) -> Element:
    t, known = context.t, sorted(contact.attributes.items())[:MOST]
    return (
        components.facts((labels.field_name(t, name, titles), short(labels.attribute(t, value))) for name, value in known)
        if known
        else None
    )


PANEL = Panel("fields", "Fields", load, aside=aside)
