"""Appending events: one at a time (what happened to a contact) and in bulk (what the tracking API took in).

Events are never changed here and never routed: the API routes what it takes in, the keeper what the worker appended. Whom they concern is
marked for the segments that hang on them (`storage.segment_marks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session
from sqlmodel import select

from journeys.catalogue import SYSTEM_EVENTS
from journeys.errors import Invalid, TooLarge
from journeys.spelling import one_line
from models import Event, new_id
from storage import company_marks, segment_marks
from storage.json_values import clean_object, clean_text
from storage.sql import insert_new, on

MAX_EVENT_BYTES = 32_768
"""Of properties and context each. Source: Segment, HTTP tracking API limits."""
MAX_NAME_CHARACTERS = 200
TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias", "system"})

Row = dict[str, Any]


def append_event(
    session: Session,
    contact_id: str,
    type: str,
    name: str,
    properties: Mapping[str, object],
    now: datetime,
    *,
    source: str = "system",
    message_id: str | None = None,
    occurred_at: datetime | None = None,
    context: Mapping[str, object] | None = None,
    hops: int = 0,
    routed: bool = False,
    backfill: bool = False,
    trace: str | None = None,
    is_new: bool = False,
) -> Event:
    """Stores one event of a contact (whose row the caller holds) and returns it with its id.

    With a `message_id` that `source` has used before, the stored event is returned and nothing is written; `is_new`: the caller has
    asked for it already.

    Raises:
        Invalid: no name, or an unknown type.
        TooLarge: name, properties or context over their limits.
    """
    if message_id is not None and not is_new:
        known = session.scalar(select(Event).where(Event.source == source, Event.message_id == message_id))
        if known is not None:
            return known
    row = event_row(
        type,
        name,
        properties,
        received_at=now,
        source=source,
        message_id=message_id or new_id(),
        occurred_at=occurred_at,
        context=context,
        hops=hops,
        routed=routed,
        backfill=backfill,
        trace=trace,
    )
    event = Event(contact_id=contact_id, **row)
    session.add(event)
    session.flush()
    mark_new(session, [{**row, "contact_id": contact_id}])
    return event


def event_row(
    type: str,
    name: str,
    properties: Mapping[str, object],
    *,
    received_at: datetime,
    source: str,
    message_id: str,
    occurred_at: datetime | None = None,
    context: Mapping[str, object] | None = None,
    hops: int = 0,
    routed: bool = True,
    backfill: bool = False,
    trace: str | None = None,
) -> Row:
    """The checked and cleaned row for `insert_events`, all but its `contact_id`; made outside the transaction because it is the costly part.

    `occurred_at` is clamped to `received_at`: nothing has happened in the future. `trace`: see `models.Event`.

    Raises:
        Invalid: no name, no message id, or an unknown type.
        TooLarge: name, message id, properties or context over their limits.
    """
    return {
        "type": _known_type(type),
        "name": _short(one_line(name), MAX_NAME_CHARACTERS, "name"),
        "properties": clean_object(properties, MAX_EVENT_BYTES),
        "context": clean_object(context or {}, MAX_EVENT_BYTES),
        "source": _short(source, 64, "source"),
        "message_id": _short(message_id, 100, "message_id"),
        "occurred_at": min(occurred_at or received_at, received_at),
        "received_at": received_at,
        "hops": hops,
        "routed": routed,
        "backfill": backfill,
        "trace": trace,
    }


def genuine(events: Any) -> ColumnElement[bool]:
    """`journeys.catalogue.is_genuine` of rows of the table (or alias, or model) `events`."""
    return or_(events.type == "system", events.name.not_in(sorted(SYSTEM_EVENTS)))


def insert_events(session: Session, rows: Sequence[Row]) -> list[int | None]:
    """Stores rows made by `event_row` (with `contact_id` filled in), in their order.

    Returns for each row the id of the new event, or None where its (source, message id) was stored before or stands
    earlier in `rows`.
    """
    if not rows:
        return []
    statement = insert_new(session, Event, ("source", "message_id"), returning=("id", "source", "message_id"))
    new = {(source, message_id): id for id, source, message_id in on(session).execute(statement, rows)}
    ids = [new.pop((row["source"], row["message_id"]), None) for row in rows]
    mark_new(session, [row for row, id in zip(rows, ids, strict=True) if id is not None])
    return ids


def mark_new(session: Session, rows: Sequence[Row]) -> None:
    """Whoever keeps something up to date about the contacts of new events has to look again: for whoever stores some without
    `append_event` and `insert_events`."""
    segment_marks.mark_events(session, rows)
    company_marks.mark_events(session, rows)


def _known_type(type: str) -> str:
    if type not in TYPES:
        raise Invalid("Expected an event type out of {types}.", types=sorted(TYPES))
    return type


def _short(text: str, limit: int, field: str) -> str:
    cleaned = clean_text(text).strip()
    if not cleaned:
        raise Invalid("An event needs a value in {field}.", field=field)
    if len(cleaned) > limit:
        raise TooLarge("{field} of an event has at most {limit} characters, got {length}.", field=field, limit=limit, length=len(cleaned))
    return cleaned
