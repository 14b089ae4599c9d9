"""The built-in outbox: what a mail server would have got, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import col

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import CHANNELS, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.outbox.mail import is_readable
from models import Member, Message, OutboxItem

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of (number, recipient, subject, channel, accepted_at, opened_at, clicked_at, test)."""

    rows: list[Any]
    next_before: str | None


def wanted(reader: Member, query: Mapping[str, str], before: str | None, limit: int) -> Any:
    """The question behind the list: items that fit the search and that `reader` may see, newest first, before a number."""
    text = query.get("q", "").strip()[:100]
    statement = (
        select(
            col(OutboxItem.id),
            col(OutboxItem.recipient),
            col(OutboxItem.subject),
            col(OutboxItem.channel),
            col(OutboxItem.accepted_at),
            col(Message.opened_at),
            col(Message.clicked_at),
            col(Message.test),
        )
        .outerjoin(Message, col(Message.id) == col(OutboxItem.message_id))
        .where(is_readable(reader))
        .order_by(col(OutboxItem.id).desc())
        .limit(limit)
    )
    if text:
        statement = statement.where(
            or_(col(OutboxItem.recipient).icontains(text, autoescape=True), col(OutboxItem.subject).icontains(text, autoescape=True))
        )
    if before and before.isdecimal():
        statement = statement.where(col(OutboxItem.id) < int(before[:18]))
    return statement


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        found = list(session.execute(wanted(visit.member, visit.query, visit.query.get("before"), PAGE_SIZE + 1)))
    return Data(found[:PAGE_SIZE], str(found[PAGE_SIZE - 1].id) if len(found) > PAGE_SIZE else None)


def stamp(visit: PageContext) -> object:
    """A newer mail, or another one opened or clicked on this page."""
    if visit.query.get("before"):
        return None
    with visit.engine.db.read() as session:
        newest = session.scalar(select(func.max(OutboxItem.id)))
    return newest, [(row.opened_at, row.clicked_at) for row in load(visit).rows]


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    columns = (speech("To"), speech("Subject"), speech("Channel"), speech("Time"), speech("Opened"))
    rows = [row(visit, one) for one in data.rows]
    found = components.table(speech("Outbox"), columns, rows, "mails") if rows else nothing(visit)
    return html._(
        components.head(
            speech("Outbox"),
            speech("Messages that were captured here instead of being sent. Opening one counts as an open."),
            actions=[components.export(visit, "outbox")],
        ),
        html.div({"className": "bar"}, components.search(visit, speech("Search by recipient or subject"))),
        found,
        components.pager(visit, data.next_before),
    )


def nothing(visit: PageContext) -> Element:
    speech = visit.speech
    if visit.query.get("q"):
        return components.empty(
            "search", speech("No matching messages."), html.a({"className": "button", "href": visit.path}, speech("Show all"))
        )
    return components.empty(
        "mail",
        speech("Nothing has been sent yet. Messages of live journeys appear here."),
        html.a({"className": "button", "href": "/ui/journeys"}, speech("View journeys")),
    )


def row(visit: PageContext, one: Any) -> list[Element]:
    speech = visit.speech
    subject = one.subject or speech("(no subject)")
    return [
        one.recipient,
        html.span(
            components.badge(speech("Test"), "quiet", "mail") if one.test else None,
            html.a({"href": f"/ui/outbox/{one.id}"}, subject) if visit.may("message.read_body") else subject,
        ),
        coded(speech, CHANNELS, one.channel),
        components.moment(speech, one.accepted_at),
        opened(visit, one),
    ]


def opened(visit: PageContext, one: Any) -> Element:
    speech = visit.speech
    if one.clicked_at:
        return html.span({"className": "fate"}, components.icon("link"), speech("clicked"), " ", components.moment(speech, one.clicked_at))
    if one.opened_at:
        return html.span({"className": "fate"}, components.icon("mail-open"), components.moment(speech, one.opened_at))
    return html.span({"className": "quiet"}, "–")


PAGE = Page("/ui/outbox", "Outbox", "outbox", "message.list", load, view, stamp, every_seconds=4.0)
