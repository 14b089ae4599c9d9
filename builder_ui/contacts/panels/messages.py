"""What the contact was written last, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, coded, short
from builder_ui.kit.reactpy_compat import Element, html
from models import Contact, Message

MOST = 5


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Sequence[Message]:
    return newest(session, contact, MOST)


def newest(session: Session, contact: Contact, limit: int) -> Sequence[Message]:
    rows = select(Message).where(Message.contact_id == contact.id, col(Message.test).is_(False))
    return session.scalars(rows.order_by(col(Message.planned_at).desc(), col(Message.id).desc()).limit(limit)).all()


def aside(context: PageContext, contact: Contact, found: Sequence[Message], acts: Acts) -> Element:
    if not found:
        return None
    every = html.p(html.a({"href": f"/ui/contacts/{contact.id}?kind=message"}, context.t("All messages")))
    return html._(html.ul([line(context, one) for one in found]), every)


def line(context: PageContext, message: Message) -> Element:
    t = context.t
    state, tone, symbol = MESSAGE_STATES[message.status]
    read = "Clicked" if message.clicked_at else "Opened" if message.opened_at else ""
    return html.li(
        {"key": message.id},
        html.a({"href": f"/ui/messages/{message.id}"}, short(message.subject or coded(t, CHANNELS, message.channel), 80)),
        " ",
        components.badge(t(read) if read else t(state), "good" if read else tone, "mail-open" if read else symbol),
        html.span({"className": "quiet"}, " ", components.moment(t, message.sent_at or message.planned_at)),
    )


def stamp(session: Session, contact: Contact) -> object:
    """Messages change by themselves: what is opened or bounces may come without an event."""
    return [(one.id, one.status, one.opened_at, one.clicked_at) for one in newest(session, contact, 20)]


PANEL = Panel("messages", "Messages", load, aside=aside, stamp=stamp)
