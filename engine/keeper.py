"""The keeper: one leased loop that repairs what crashes left out and pulls the triggers that hang on the clock.

Every duty is idempotent, works in pages and reads only through an index. `recover` is the same repair over everything: with
Temporal's data lost, all open runs come back from their rows.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Row, delete, false, select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.imports import undo, uploads
from crm.privacy import retention
from crm.sales import tasks
from engine.engine import Engine
from engine.enrolment import schedules, unmet, unrouted
from engine.enrolment.routing import route, route_part
from engine.interpreter.state import Instruction
from engine.runs.operations import end_locked
from engine.runs.rows import WAIT_FOR_SIGNAL, lock_run
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from engine.versions import migrate
from journeys.errors import PfadwerkError, where
from models import Event, Inbox, Journey, Migration, Run, Subscription, Task
from storage import leases, tally
from storage.sql import table
from workspace import audit

log = logging.getLogger(__name__)

runs = table(Run)
inbox = table(Inbox)
events = table(Event)
journeys = table(Journey)
subscriptions = table(Subscription)

PAGE = 200
LEASE, GRACE, WAKE_AGAIN = 1.5, 2, 30
"""In ticks: how long the lease lasts, how long a due run or an unread inbox row may lie before the keeper wakes it, and until it does so again."""
ENDED_ELSEWHERE = ("ended_by_person", "removed", "stopped", "merged", "erased", "ended_by_journey")
KEEP_INBOX = timedelta(days=30)


Id = TypeVar("Id", str, int)


class Keeper:
    """Holds the lease or waits for it. `tick` does every duty once; `run` ticks until it is cancelled.

    All its patience follows from `every_seconds`; `grace` alone may be set apart. `duties` are further ones, from rooms that the engine
    does not know.
    """

    def __init__(
        self,
        engine: Engine,
        temporal: Temporal,
        *,
        every_seconds: float = 10.0,
        grace: timedelta | None = None,
        duties: Sequence[Callable[[], Wakeups]] = (),
    ) -> None:
        self.engine = engine
        self.temporal = temporal
        self.every_seconds = every_seconds
        self.lease = timedelta(seconds=every_seconds * LEASE)
        self.grace = timedelta(seconds=every_seconds * GRACE) if grace is None else grace
        self.wake_again = timedelta(seconds=every_seconds * WAKE_AGAIN)
        self.name = secrets.token_hex(8)
        self._duties = (
            self.route_unrouted, self.settle_unrouted, self.move_migrations, self.end_stopped, self.pull_clock_triggers, self.escalate_tasks, self.forget_old, self.fold_tallies,
            self.watch_audit, self.queue_purge,
            *duties,
        )  # fmt: skip
        self._after_due = datetime(1970, 1, 1, tzinfo=UTC)
        self._rung: dict[str, datetime] = {}
        self._audit = audit.Watch()

    async def run(self) -> None:
        """Ticks for ever; a failing duty is logged and tried again at the next tick."""
        while True:
            try:
                if await asyncio.to_thread(self._holds_lease):
                    await self.tick()
            except Exception as error:  # noqa: BLE001 - without its keeper a worker heals nothing, and nobody would notice
                log.error("the keeper failed and tries again: %s", where(error))
            await asyncio.sleep(self.every_seconds)

    async def tick(self) -> None:
        """Every duty once. One that fails does not keep the others from their work."""
        for duty in self._duties:
            await self._do(duty)
        await asyncio.gather(*(self._wake_or_start(run_id) for run_id in await asyncio.to_thread(self._needing_a_wakeup)))

    async def _do(self, duty: Callable[[], Wakeups]) -> None:
        try:
            wakeups = await asyncio.to_thread(duty)
        except Exception as error:  # noqa: BLE001 - whatever one duty stumbles over, all runs depend on the others
            log.error("a duty of the keeper failed and is tried again: %s", where(error))
        else:
            await self.temporal.wake(wakeups)

    # --- the lease ---------------------------------------------------------------------------------------------------

    def _holds_lease(self) -> bool:
        return leases.hold(self.engine.db, "keeper", self.name, self.engine.clock.real_now(), self.lease)

    # --- duties in the database ----------------------------------------------------------------------------------------

    def route_unrouted(self) -> Wakeups:
        """Events that activities appended: wake-ups and enrolments come of them here. What cannot be done is owed, and nobody waits for it."""
        with self.engine.db.read() as session:
            waiting = list(session.scalars(select(events.c.id).where(events.c.routed == false()).order_by(events.c.id).limit(PAGE)))
        return self._each(waiting, self._route)

    def _route(self, session: Session, event_id: int) -> Wakeups:
        event = session.get_one(Event, event_id)
        if event.routed:
            return Wakeups()
        event.routed = True
        return route(self.engine, session, [event], self.engine.clock.now(), careful=True)

    def settle_unrouted(self) -> Wakeups:
        """What stored events still owe: done now, or tried again later with the reason noted."""
        now = self.engine.clock.now()
        with self.engine.db.read() as session:
            owed = unrouted.due(session, now, PAGE)
        wakeups = Wakeups()
        for row in owed:
            try:
                with self.engine.db.write() as session:
                    event = session.get_one(Event, row.event_id)
                    wakeups.add(route_part(self.engine, session, event, row.part, now))
                    unrouted.settle(session, row.event_id, row.part)
            except Exception as error:  # noqa: BLE001 - it failed before in a way nobody foresaw; it must not hold up the others
                reason = unrouted.reason_of(error)
                with self.engine.db.write() as session:
                    unrouted.failed(session, row.event_id, row.part, row.attempts, reason, now)
        return wakeups

    def move_migrations(self) -> Wakeups:
        """The next chunk of every migration that is at work, there or back."""
        with self.engine.db.read() as session:
            running = list(session.scalars(select(col(Migration.id)).where(col(Migration.state).in_(migrate.AT_WORK)).limit(5)))
        return self._each(running, lambda session, id: migrate.carry_on(self.engine, session, id, self.engine.clock.now())[0])

    def end_stopped(self) -> Wakeups:
        """Ends the open runs of stopped journeys, a page at a time."""
        with self.engine.db.read() as session:
            stopped = select(journeys.c.id).where(journeys.c.state == "stopped")
            page = list(session.scalars(select(runs.c.id).where(runs.c.journey_id.in_(stopped), runs.c.ended_at.is_(None)).limit(PAGE)))
        return self._each(page, self._end_stopped)

    def _end_stopped(self, session: Session, run_id: str) -> Wakeups:
        row = lock_run(session, run_id)
        if row.ended_at is not None:
            return Wakeups()
        end_locked(self.engine, session, row.id, "stopped", self.engine.clock.now())
        return Wakeups(runs={run_id})

    def pull_clock_triggers(self) -> Wakeups:
        """Schedules and date fields that have come due; one page each."""
        return schedules.pull(self.engine)

    def escalate_tasks(self) -> Wakeups:
        """Tasks past their SLA: handed on; who waits for them hears of it when the event is routed."""
        now = self.engine.clock.now()
        late = select(col(Task.id)).where(col(Task.escalated_at).is_(None), col(Task.state).in_(tasks.OPEN), col(Task.due_at) <= now)
        with self.engine.db.read() as session:
            if session.scalars(late.limit(1)).first() is None:
                return Wakeups()
        with self.engine.db.write() as session:
            tasks.overdue(session, now, PAGE)
        return Wakeups()

    def forget_old(self) -> Wakeups:
        """Goals whose window is over, uploaded files nobody came back to, and entries that a condition kept out long ago."""
        now, real = self.engine.clock.now(), self.engine.clock.real_now()
        self._forget_unmet()
        with self.engine.db.read() as session:
            files = uploads.are_old(session, real)
        if files:
            with self.engine.db.write() as session:
                uploads.forget_old(session, real, now)
        with self.engine.db.read() as session:
            undoable = undo.are_old(session, now)
        if undoable:
            with self.engine.db.write() as session:
                undo.forget_old(session, now)
        with self.engine.db.read() as session:
            past = session.execute(
                select(subscriptions.c.run_id, subscriptions.c.topic)
                .where(subscriptions.c.why == "goal", subscriptions.c.until < now)
                .limit(PAGE)
            ).all()
        if past:
            with self.engine.db.write() as session:
                for run_id, topic in past:
                    session.execute(
                        delete(subscriptions).where(
                            subscriptions.c.run_id == run_id, subscriptions.c.topic == topic, subscriptions.c.why == "goal"
                        )
                    )
        return Wakeups()

    def queue_purge(self) -> Wakeups:
        """What is kept too long: a job a day deletes it."""
        now = self.engine.clock.now()
        with self.engine.db.read() as session:
            due = retention.is_due(session, now)
        if due:
            with self.engine.db.write() as session:
                retention.queue(session, now)
        return Wakeups()

    def watch_audit(self) -> Wakeups:
        """The head of the audit trail, into the log."""
        with self.engine.db.read() as session:
            self._audit.look(session)
        return Wakeups()

    def _forget_unmet(self) -> None:
        with self.engine.db.read() as session:
            journeys = unmet.with_many(session)
        for id in journeys:
            more = True
            while more:
                with self.engine.db.write() as session:
                    more = unmet.forget_old(session, id)

    def fold_tallies(self) -> Wakeups:
        """Counts that were appended since, into the sums."""
        full = True
        while full:
            with self.engine.db.write() as session:
                full = tally.fold(session, PAGE) == PAGE
        return Wakeups()

    def _each(self, ids: Iterable[Id], act: Callable[[Session, Id], Wakeups]) -> Wakeups:
        """One short transaction an item, so that nobody waits long for the lock; an item that fails is logged and tried at the next tick."""
        wakeups = Wakeups()
        for id in ids:
            try:
                with self.engine.db.write() as session:
                    wakeups.add(act(session, id))
            except (LookupError, ValueError, TypeError, PfadwerkError) as error:
                log.error("the keeper cannot deal with %s now: %s", id, where(error))
        return wakeups

    # --- duties towards Temporal -----------------------------------------------------------------------------------------

    def _needing_a_wakeup(self) -> list[str]:
        """Runs that should have moved: overdue, with mail unread, held although their journey is live, or ended behind their back."""
        now = self.engine.clock.now()
        late = self.engine.clock.later(now, -self.grace)
        with self.engine.db.read() as session:
            found = [
                *self._overdue(session, late),
                *self._unread(session, late),
                *self._to_resume(session),
                *self._ended_elsewhere(session, late),
            ]
        real = self.engine.clock.real_now()
        again = real - self.wake_again
        self._rung = {run_id: at for run_id, at in self._rung.items() if at > again}
        fresh = [run_id for run_id in dict.fromkeys(found) if run_id not in self._rung]
        self._rung.update(dict.fromkeys(fresh, real))
        return fresh

    def _overdue(self, session: Session, late: datetime) -> list[str]:
        """The next page of active runs past their due instant; starts over at the end, so that stubborn ones do not hide the others."""
        page = session.execute(
            select(runs.c.id, runs.c.due_at)
            .where(runs.c.status == "active", runs.c.due_at < late, runs.c.due_at >= self._after_due)
            .order_by(runs.c.due_at)
            .limit(PAGE)
        ).all()
        full = len(page) == PAGE and page[-1].due_at > self._after_due
        self._after_due = page[-1].due_at if full else datetime(1970, 1, 1, tzinfo=UTC)
        return [row.id for row in page]

    def _unread(self, session: Session, late: datetime) -> list[str]:
        unread = (
            select(inbox.c.run_id)
            .join(runs, runs.c.id == inbox.c.run_id)
            .where(inbox.c.consumed == false(), inbox.c.arrived_at < late, runs.c.ended_at.is_(None))
            .distinct()
            .limit(PAGE)
        )
        return list(session.scalars(unread))

    def _to_resume(self, session: Session) -> list[str]:
        live = select(journeys.c.id).where(journeys.c.state == "live")
        held = (
            select(runs.c.id)
            .where(runs.c.status == "held", runs.c.ended_at.is_(None), runs.c.journey_id.in_(live))
            .order_by(runs.c.id)
            .limit(PAGE)
        )
        return list(session.scalars(held))

    def _ended_elsewhere(self, session: Session, late: datetime) -> list[str]:
        recent = select(runs.c.id).where(
            runs.c.ended_at < late,
            runs.c.ended_at > self.engine.clock.later(late, -self.wake_again),
            runs.c.reason.in_(ENDED_ELSEWHERE),
        )
        return list(session.scalars(recent.limit(PAGE)))

    async def _wake_or_start(self, run_id: str) -> None:
        """Where the server does not answer it is looked at again soon."""
        if not await wake_or_start(self.engine, self.temporal, run_id):
            self._rung.pop(run_id, None)


async def wake_or_start(engine: Engine, temporal: Temporal, run_id: str) -> bool:
    """A run that nobody works on gets its workflow back, from its row. False: the server did not answer."""
    told = await temporal.signal(run_id)
    if told is not False:
        return told is True
    start = await asyncio.to_thread(_start_of, engine, run_id)
    return True if start is None else await temporal.start(run_id, *start)


def _start_of(engine: Engine, run_id: str) -> tuple[str, Instruction] | None:
    with engine.db.read() as session:
        row = session.execute(_startable.where(runs.c.id == run_id)).first()
    return (row.key, instruction_of(row)) if row is not None else None


_startable = (
    select(runs.c.id, runs.c.status, runs.c.step, runs.c.instruction, journeys.c.key)
    .join(journeys, journeys.c.id == runs.c.journey_id)
    .where(runs.c.ended_at.is_(None))
)


def instruction_of(row: Any) -> Instruction:
    """What a fresh workflow of this run begins with: the stored instruction, or waiting for a wake-up where the run is halted."""
    if row.status == "active" and row.instruction:
        return cast(Instruction, row.instruction)
    waiting: Instruction = {**WAIT_FOR_SIGNAL, "step": row.step}
    return waiting


class NotTold(PfadwerkError):
    """Temporal did not answer, time after time."""

    code = "temporal_does_not_answer"
    status = 503


async def recover(engine: Engine, temporal: Temporal) -> AsyncIterator[tuple[int, int]]:
    """Gives every open run its workflow back, and wakes it; yields (looked at, started anew) after each page. Safe to repeat.

    Raises: NotTold when the server stops answering; the runs of the pages before are seen to.
    """
    looked = started = 0
    after = ""
    while page := await asyncio.to_thread(_open_page, engine, after):
        after = page[-1].id
        started += await _recover_page(temporal, page)
        looked += len(page)
        yield looked, started


async def _recover_page(temporal: Temporal, page: list[Row[Any]]) -> int:
    """How many were started anew; those that the server did not take are tried again."""
    started = 0
    for pause in (0.5, 1.0, 2.0, 4.0, 0.0):
        outcomes = await asyncio.gather(*(_recover_run(temporal, row) for row in page))
        started += outcomes.count(True)
        page = [row for row, outcome in zip(page, outcomes, strict=True) if outcome is None]
        if not page:
            return started
        await asyncio.sleep(pause)
    raise NotTold("Temporal did not answer for {count} runs. Start it, then run this again.", count=len(page))


def _open_page(engine: Engine, after: str) -> list[Row[Any]]:
    with engine.db.read() as session:
        return list(session.execute(_startable.where(runs.c.id > after).order_by(runs.c.id).limit(PAGE)))


async def _recover_run(temporal: Temporal, row: Row[Any]) -> bool | None:
    """True: started anew; False: its workflow was there; None: the server did not answer."""
    told = await temporal.signal(row.id)
    if told is None or told:
        return None if told is None else False
    return await temporal.start(row.id, row.key, instruction_of(row)) or None
