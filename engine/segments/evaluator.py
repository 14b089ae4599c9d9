"""Keeps memberships and scores live: a loop in each worker, of which one at a time evaluates what is marked and what has come due.

It looks often and finds nothing nearly always, by two small indexes. A page of contacts is one transaction, in which the events of those who enter
and leave are routed, too; a page done twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from crm.segments import evaluation
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.enrolment.routing import settle as settle_starts
from engine.runs.caused import Asked, Caused, Happened
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from journeys.errors import where
from storage import leases
from workspace import notices

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.25
LEASE = timedelta(seconds=5)


class Evaluator:
    """`run` evaluates until it is cancelled. `page` does what is due for some contacts, in one transaction."""

    def __init__(self, engine: Engine, temporal: Temporal, *, every_seconds: float = EVERY_SECONDS) -> None:
        self.engine, self.temporal, self.every_seconds = engine, temporal, every_seconds
        self.name = secrets.token_hex(8)
        self._held_until = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """A page that fails is logged and tried again."""
        while True:
            try:
                while (wakeups := await asyncio.to_thread(self.page)) is not None:
                    await self.temporal.wake(wakeups)
            except Exception as error:  # noqa: BLE001 - whatever one page stumbles over, all segments depend on the others
                log.error("segments are evaluated again after a failure: %s", where(error))
            await asyncio.sleep(self.every_seconds)

    def page(self) -> Wakeups | None:
        """What to wake after the commit; None if nothing was due, or another process is at it."""
        with self.engine.db.read() as session:
            waiting = evaluation.waiting(session, self.engine.clock.now())
        if not waiting or not self._holds_lease():
            return None
        return evaluate(self.engine, waiting)

    def _holds_lease(self) -> bool:
        real = self.engine.clock.real_now()
        if self._held_until - real > LEASE / 2:
            return True
        held = leases.hold(self.engine.db, "segments", self.name, real, LEASE)
        self._held_until = real + LEASE if held else self._held_until
        return held


def evaluate(engine: Engine, contact_ids: Sequence[str]) -> Wakeups:
    """Asks these contacts what is due for them. Where that fails, each alone: whoever cannot be asked waits, and holds up nobody.

    Raises: what the database raises where it is away.
    """
    try:
        return _ask(engine, contact_ids)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - one rule and one contact that do not get on must not hold up all others
        if len(contact_ids) > 1:
            wakeups = Wakeups()
            for contact_id in contact_ids:
                wakeups.add(evaluate(engine, [contact_id]))
            return wakeups
        log.error("contact %s cannot be asked about its segments now: %s", contact_ids[0], where(error))
        with engine.db.write() as session:
            evaluation.postpone(session, contact_ids[0], engine.clock.now() + evaluation.AGAIN)
        return Wakeups()


def _ask(engine: Engine, contact_ids: Sequence[str]) -> Wakeups:
    with engine.db.write() as session:
        now = engine.clock.now()
        return told(engine, session, evaluation.ask_waiting(session, contact_ids, now), now)


def told(engine: Engine, session: Session, done: evaluation.Done, now: datetime) -> Wakeups:
    """Routes the events of a page, and does what thresholds ask for beyond our own tables: journeys begin, the team hears. What to wake after the
    commit."""
    wakeups = route(engine, session, done.events, now, careful=True)
    asked: list[Happened | Asked] = [Asked(one.journey, one.contact_id, one.data, one.hops, one.occasion, now, ()) for one in done.starts]
    if asked:
        wakeups.add(settle_starts(engine, session, Caused(pending=asked), now))
    for model, threshold, name in done.reached:
        notices.score_reached(session, model, threshold, name, engine.clock.real_now())
    return wakeups


def settle(engine: Engine) -> Wakeups:
    """Everything that is due now, page by page: for tests and for commands that work without a worker."""
    wakeups = Wakeups()
    while True:
        with engine.db.read() as session:
            waiting = evaluation.waiting(session, engine.clock.now())
        if not waiting:
            return wakeups
        wakeups.add(evaluate(engine, waiting))
