"""What stored events have still to set off. An event is stored first; whatever fails while it is routed is owed, never lost.

The rows are few: they exist only while something is broken. Routing and delivery write them, `engine.enrolment.routing` settles them when the
keeper asks it to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.engine import NotLoaded
from journeys.errors import where
from models import Event, Unrouted
from storage.sql import changed_rows, on, savepoint, table, upsert

log = logging.getLogger(__name__)

unrouted = table(Unrouted)
events = table(Event)

ALL, INBOX, START = "all", "inbox", "start"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
MAX_REASON = 200

_due = (
    select(unrouted.c.event_id, unrouted.c.part, unrouted.c.attempts)
    .where(unrouted.c.next_at <= bindparam("now"))
    .order_by(unrouted.c.next_at, unrouted.c.event_id)
    .limit(bindparam("most"))
)
_of = (unrouted.c.event_id == bindparam("of_event"), unrouted.c.part == bindparam("of_part"))
_settled = delete(unrouted).where(*_of)
_failed = update(unrouted).where(*_of).values(attempts=unrouted.c.attempts + 1, reason=bindparam("because"), next_at=bindparam("again_at"))


def entry_of(journey_id: str) -> str:
    """The part of an event's routing that may start this journey."""
    return f"entry:{journey_id}"


def goal_of(run_id: str) -> str:
    """The part of an event's routing that counts this run's goal."""
    return f"goal:{run_id}"


def owe(session: Session, event_id: int, part: str, reason: str, now: datetime) -> None:
    """Notes that `part` of the event's routing is still to be done. Owed already: nothing changes."""
    values = {
        "event_id": event_id,
        "part": part,
        "reason": reason[:MAX_REASON],
        "attempts": 1,
        "first_at": now,
        "next_at": now + FIRST_PAUSE,
    }
    session.execute(upsert(session, Unrouted).on_conflict_do_nothing(index_elements=["event_id", "part"]), values)


@contextmanager
def attempt(session: Session, event_id: int, part: str, now: datetime, careful: bool) -> Iterator[None]:
    """One part of an event's routing. A version that this process cannot load is always owed; any other failure only if `careful`, which gives
    the part a savepoint of its own."""
    if not careful:
        try:
            yield
        except NotLoaded as error:
            owe(session, event_id, part, error.code, now)
        return
    try:
        with savepoint(session):
            yield
    except Exception as error:
        if is_lost(error):
            raise
        log.error("event %s: %s is tried again: %s", event_id, part, where(error))
        owe(session, event_id, part, reason_of(error), now)


def is_lost(error: Exception) -> bool:
    """Whether the connection is gone and the transaction with it, so that nothing can be owed."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def reason_of(error: Exception) -> str:
    """What is noted of a failure: the kind and the place, never the text."""
    return error.code if isinstance(error, NotLoaded) else where(error)


def due(session: Session, now: datetime, most: int) -> list[Row[Any]]:
    """(event_id, part, attempts) of what shall be tried now, the longest waiting first."""
    return list(on(session).execute(_due, {"now": now, "most": most}))


def settle(session: Session, event_id: int, part: str) -> None:
    """It is done, or concerns nobody any more."""
    on(session).execute(_settled, {"of_event": event_id, "of_part": part})


def failed(session: Session, event_id: int, part: str, attempts: int, reason: str, now: datetime) -> None:
    """Another attempt failed: the next one comes after twice the pause, at most `LONGEST_PAUSE`."""
    pause = min(FIRST_PAUSE * 2 ** min(attempts, 10), LONGEST_PAUSE)
    values = {"of_event": event_id, "of_part": part, "because": reason[:MAX_REASON], "again_at": now + pause}
    on(session).execute(_failed, values)


def count(session: Session, most: int = 1_000) -> int:
    """How many parts are owed, at most `most`: it is the difference between none and some that matters."""
    few = select(unrouted.c.event_id).limit(most).subquery()
    return session.execute(select(func.count()).select_from(few)).scalar_one()


def page(session: Session, limit: int) -> list[Row[Any]]:
    """The newest: event_id, name, contact_id, received_at, part, reason, attempts, first_at, next_at."""
    statement = (
        select(
            unrouted.c.event_id,
            events.c.name,
            events.c.contact_id,
            events.c.received_at,
            unrouted.c.part,
            unrouted.c.reason,
            unrouted.c.attempts,
            unrouted.c.first_at,
            unrouted.c.next_at,
        )
        .join(events, events.c.id == unrouted.c.event_id)
        .order_by(unrouted.c.event_id.desc(), unrouted.c.part)
        .limit(limit)
    )
    return list(session.execute(statement))


def try_now(session: Session, now: datetime) -> int:
    """Has everything owed tried at the keeper's next tick; how many parts."""
    return changed_rows(session, update(unrouted).where(unrouted.c.next_at > now).values(next_at=now))
