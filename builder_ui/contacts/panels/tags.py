"""The contact's tags; each leads to the others who have it."""

from __future__ import annotations

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from models import Contact, Tag


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> list[str]:
    return list(session.scalars(select(Tag.tag).where(Tag.contact_id == contact.id).order_by(Tag.tag)))


def aside(context: PageContext, contact: Contact, tags: list[str], acts: Acts) -> Element:
    links = [html.a({"className": "tag", "key": tag, "href": f"/ui/contacts?tag={tag}"}, tag) for tag in tags]
    return html.div({"className": "tags"}, links) if tags else None


PANEL = Panel("tags", "Tags", load, aside=aside)
