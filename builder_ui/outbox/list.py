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


def items_of(reader: Member, query: Mapping[str, str], before: str | None, limit: int) -> Any:
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


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = list(session.execute(items_of(context.member, context.query, context.query.get("before"), PAGE_SIZE + 1)))
    return Data(found[:PAGE_SIZE], str(found[PAGE_SIZE - 1].id) if len(found) > PAGE_SIZE else None)


def stamp(context: PageContext) -> object:
    """A newer mail, or another one opened or clicked on this page."""
    if context.query.get("before"):
        return None
    with context.engine.db.read() as session:
        newest = session.scalar(select(func.max(OutboxItem.id)))
    return newest, [(row.opened_at, row.clicked_at) for row in load(context).rows]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("To"), t("Subject"), t("Channel"), t("Time"), t("Opened"))
    rows = [row(context, one) for one in data.rows]
    found = components.table(t("Outbox"), columns, rows, "mails") if rows else nothing(context)
    return html._(
        components.head(
            t("Outbox"),
            t("Messages that were captured here instead of being sent. Opening one counts as an open."),
            actions=[components.export(context, "outbox")],
        ),
        html.div({"className": "bar"}, components.search(context, t("Search by recipient or subject"))),
        found,
        components.pager(context, data.next_before),
    )


def nothing(context: PageContext) -> Element:
    t = context.t
    if context.query.get("q"):
        return components.empty("search", t("No matching messages."), html.a({"className": "button", "href": context.path}, t("Show all")))
    return components.empty(
        "mail",
        t("Nothing has been sent yet. Messages of live journeys appear here."),
        html.a({"className": "button", "href": "/ui/journeys"}, t("View journeys")),
    )


def row(context: PageContext, one: Any) -> list[Element]:
    t = context.t
    subject = one.subject or t("(no subject)")
    return [
        one.recipient,
        html.span(
            components.badge(t("Test"), "quiet", "mail") if one.test else None,
            html.a({"href": f"/ui/outbox/{one.id}"}, subject) if context.may("message.read_body") else subject,
        ),
        coded(t, CHANNELS, one.channel),
        components.moment(t, one.accepted_at),
        opened(context, one),
    ]


def opened(context: PageContext, one: Any) -> Element:
    t = context.t
    if one.clicked_at:
        return html.span({"className": "fate"}, components.icon("link"), t("clicked"), " ", components.moment(t, one.clicked_at))
    if one.opened_at:
        return html.span({"className": "fate"}, components.icon("mail-open"), components.moment(t, one.opened_at))
    return html.span({"className": "quiet"}, "–")


PAGE = Page("/ui/outbox", "Outbox", "outbox", "message.list", load, view, stamp, every_seconds=4.0)
