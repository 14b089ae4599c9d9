"""Keeps the roll-ups of companies up to date: a loop in each worker, of which one at a time works through what is marked, appended and changed.

It looks often and finds nothing nearly always. Each page is one transaction, in which its events are routed, too; a page done twice changes
nothing. Large companies cost pages, never a lock that their members wait for.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from crm.companies import roll_ups
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from journeys.errors import where
from models import CompanyDelta
from storage import company_marks, leases
from storage.sql import on, table

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.25
LEASE = timedelta(seconds=5)
AGAIN = timedelta(minutes=1)
"""After which somebody is worked out again for whom that failed."""


class Roller:
    """`run` works until it is cancelled. `page` does the next page of what is due."""

    def __init__(self, engine: Engine, temporal: Temporal, *, every_seconds: float = EVERY_SECONDS) -> None:
        self.engine, self.temporal, self.every_seconds = engine, temporal, every_seconds
        self.name = secrets.token_hex(8)
        self._held_until = datetime.min.replace(tzinfo=UTC)
        self._turn = 0

    async def run(self) -> None:
        """A page that fails is logged and tried again."""
        while True:
            try:
                while (wakeups := await asyncio.to_thread(self.page)) is not None:
                    await self.temporal.wake(wakeups)
            except Exception as error:  # noqa: BLE001 - whatever one page stumbles over, all companies depend on the others
                log.error("companies are worked out again after a failure: %s", where(error))
            await asyncio.sleep(self.every_seconds)

    def page(self) -> Wakeups | None:
        """What to wake after the commit; None if nothing was due, or another process is at it."""
        with self.engine.db.read() as session:
            due = list(_due(session, self.engine.clock.now()))
        if not due or not self._holds_lease():
            return None
        work = due[self._turn % len(due)]
        self._turn += 1
        return work(self.engine)

    def _holds_lease(self) -> bool:
        real = self.engine.clock.real_now()
        if self._held_until - real > LEASE / 2:
            return True
        held = leases.hold(self.engine.db, "companies", self.name, real, LEASE)
        self._held_until = real + LEASE if held else self._held_until
        return held


Work = Callable[[Engine], Wakeups]


def _due(session: Session, now: datetime) -> Iterator[Work]:
    """What is to be done, in this order: what contacts count for first, so that a company is told of once. Each has its turn, so that steady orders never keep
    a company from being told."""
    if not company_marks.are_there(session) and not company_marks.is_by_domain(session):
        return
    if roll_ups.waiting(session, now, 1):
        yield _recount
    if on(session).execute(select(table(CompanyDelta).c.id).limit(1)).scalar() is not None:
        yield _fold
    if roll_ups.next_spread(session) is not None:
        yield _spread
    if roll_ups.has_other_currency(session):
        yield _reprice


def _recount(engine: Engine) -> Wakeups:
    with engine.db.read() as session:
        waiting = roll_ups.waiting(session, engine.clock.now())
    return recount(engine, waiting)


def recount(engine: Engine, contact_ids: Sequence[str]) -> Wakeups:
    """Works these contacts out anew. Where that fails, each alone: whoever cannot be worked out waits, and holds up nobody.

    Raises: what the database raises where it is away.
    """
    try:
        with engine.db.write() as session:
            now = engine.clock.now()
            done = roll_ups.recount(session, contact_ids, now)
            return route(engine, session, done.events, now, careful=True)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - one contact must not hold up all others
        if len(contact_ids) > 1:
            wakeups = Wakeups()
            for contact_id in contact_ids:
                wakeups.add(recount(engine, [contact_id]))
            return wakeups
        log.error("contact %s cannot be counted for its company now: %s", contact_ids[0], where(error))
        with engine.db.write() as session:
            roll_ups.postpone(session, contact_ids[0], engine.clock.now() + AGAIN)
        return Wakeups()


def _fold(engine: Engine) -> Wakeups:
    with engine.db.write() as session:
        roll_ups.fold(session, engine.clock.now(), lambda topic: _is_asked(engine, session, topic))
    return Wakeups()


def _reprice(engine: Engine) -> Wakeups:
    with engine.db.write() as session:
        roll_ups.other_currency(session, lambda topic: _is_asked(engine, session, topic))
    return Wakeups()


def _spread(engine: Engine) -> Wakeups:
    with engine.db.write() as session:
        now = engine.clock.now()
        spread = roll_ups.next_spread(session)
        if spread is None:
            return Wakeups()
        done = roll_ups.spread_page(session, spread, now, _starts(engine, session, f"field:{spread.field}"))
        return route(engine, session, done.events, now, careful=True)


def _is_asked(engine: Engine, session: Session, topic: str) -> bool:
    return _starts(engine, session, topic) or roll_ups.waits_for(session, topic)


def _starts(engine: Engine, session: Session, topic: str) -> bool:
    """Whether a journey begins by a change of this field."""
    index = engine.index(session)
    return topic in index.by_topic or bool(index.entered_by([topic]))


def settle(engine: Engine) -> Wakeups:
    """Everything that is due now, page by page: for tests and for commands that work without a worker."""
    wakeups = Wakeups()
    while True:
        with engine.db.read() as session:
            work = next(_due(session, engine.clock.now()), None)
        if work is None:
            return wakeups
        wakeups.add(work(engine))
