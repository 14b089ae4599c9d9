"""The list of messages, whatever provider carried them: newest first by the time they were planned for, page by page after a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from journeys.channels import SENDABLE
from journeys.errors import Invalid
from models import LEFT, UNUSUAL_MESSAGE, UNUSUAL_STATUSES, Message

LONGEST_PAGE = 200
STATUSES = ("planned", "held", "claimed", "sent", "bounced", "failed", "skipped", "uncertain")


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What to list: every given field must fit. `open_only`: of the uncertain ones, those that nobody has decided yet. `channels`: which ones;
    None for all, also calls that are no messages. `before` is the key that the last page answered with."""

    since: datetime | None = None
    run_id: str | None = None
    status: str | None = None
    contact_id: str | None = None
    journey_id: str | None = None
    node: str | None = None
    channels: tuple[str, ...] | None = SENDABLE
    open_only: bool = False
    before: str | None = None
    limit: int = 50


def page(session: Session, filter: MessageFilter) -> tuple[list[Message], str | None]:
    """The messages, and the key to go on after; None at the end.

    Raises: Invalid, if `before` is no key.
    """
    limit = max(1, min(filter.limit, LONGEST_PAGE))
    statement = select(Message).where(*_filters(filter)).order_by(col(Message.planned_at).desc(), col(Message.id).desc())
    found = list(session.scalars(statement.limit(limit + 1)))
    return found[:limit], _key(found[limit - 1]) if len(found) > limit else None


def undecided(session: Session) -> int:
    """How many messages nobody knows the end of, and nobody has decided yet."""
    filter = MessageFilter(status="uncertain", open_only=True, channels=None)
    return session.scalar(select(func.count()).select_from(Message).where(*_filters(filter))) or 0


def _filters(filter: MessageFilter) -> list[ColumnElement[bool]]:
    """A filter that names one person or run is served by its own index; the others must not lead the database away from it."""
    narrow = filter.contact_id is not None or filter.run_id is not None
    filters: list[Any] = []
    for column, value in ((Message.contact_id, filter.contact_id), (Message.run_id, filter.run_id)):
        if value is not None:
            filters.append(col(column) == value)
    if filter.journey_id is not None:
        journey: Any = func.coalesce(Message.journey_id, "") if narrow else col(Message.journey_id)
        filters.append(journey == filter.journey_id)
    for given, value in ((Message.node, filter.node), (Message.status, filter.status)):
        if value is not None:
            filters.append(col(given) == value)
    if filter.status in UNUSUAL_STATUSES and not narrow and filter.journey_id is None:
        filters.append(UNUSUAL_MESSAGE)
    if filter.channels is not None:
        filters.append(func.coalesce(Message.channel, "").in_(filter.channels))
    if filter.open_only:
        filters += [col(Message.reason) != LEFT, ~col(Message.test)]
    if filter.since is not None:
        filters.append(col(Message.planned_at) >= filter.since)
    return [*filters, *_after(filter.before)]


def _after(before: str | None) -> list[ColumnElement[bool]]:
    if not before:
        return []
    at, id = _place(before)
    return [col(Message.planned_at) <= at, or_(col(Message.planned_at) < at, and_(col(Message.planned_at) == at, col(Message.id) < id))]


def _key(message: Message) -> str:
    return f"{message.planned_at.isoformat()}~{message.id}"


def _place(text: str) -> tuple[datetime, str]:
    moment, _, id = text.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise Invalid("The list has no such page; begin again without the cursor.") from None
    if at.tzinfo is None or not id:
        raise Invalid("The list has no such page; begin again without the cursor.")
    return at, id[:64]
