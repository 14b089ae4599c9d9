"""Which processes are alive, and which steps each of them can run: so that nothing is published that one of them would not understand.

Real time, not the workspace's clock: a process is alive or not, whatever day it is in staging.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.engine import Engine
from journeys.errors import Conflict, where
from models import Process, new_id
from storage.sql import table, upsert

log = logging.getLogger(__name__)

processes = table(Process)

BEAT_SECONDS = 3.0
SILENT_AFTER = timedelta(seconds=8)
"""So long without a beat, and others do what the process may have left undone; harmless if it lives (`engine.takeover`)."""
GONE_AFTER = timedelta(seconds=60)
"""So long without a beat, and the process is taken to be dead: it has no say in what may be published."""
FORGOTTEN_AFTER = timedelta(days=1)
"""A process that nobody has taken over for so long, because no worker runs, is forgotten; the keeper finds what it left."""


_taken_over = processes.c.taken_over_at.is_not(None) & (processes.c.taken_over_at >= processes.c.seen_at)


@dataclass(frozen=True, slots=True)
class Silent:
    """A process that does not say any more that it is alive."""

    id: str
    kind: str
    seen_at: datetime


def silent(session: Session, now: datetime) -> list[Silent]:
    """Those that nobody has taken over since they fell silent."""
    wanted = select(processes.c.id, processes.c.kind, processes.c.seen_at).where(processes.c.seen_at < now - SILENT_AFTER, ~_taken_over)
    return [Silent(*row) for row in session.execute(wanted.order_by(processes.c.seen_at))]


def note_taken_over(session: Session, process_id: str, seen_at: datetime) -> None:
    """What it left undone until then is done."""
    session.execute(update(processes).where(processes.c.id == process_id).values(taken_over_at=seen_at))


def has_worker(session: Session, now: datetime | None = None) -> bool:
    """Whether a worker is alive: without one nobody does steps, effects or background jobs. `now` is real time."""
    alive = processes.c.seen_at >= (now or datetime.now(UTC)) - GONE_AFTER
    return session.execute(select(processes.c.id).where(processes.c.kind == "worker", alive).limit(1)).first() is not None


class Presence:
    """One process among the others. `kind` is web or worker."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self._engine = engine
        self._row = {"id": new_id(), "kind": kind, "started_at": engine.clock.real_now()}
        engine.process_id = str(self._row["id"])

    def beat(self, now: datetime | None = None) -> None:
        """Says that the process is alive, and forgets those that no longer say so and were taken over. `now` is real time."""
        now = now or self._engine.clock.real_now()
        row = {**self._row, "behaviours": sorted(self._engine.palette.behaviours), "seen_at": now}
        with self._engine.db.write() as session:
            session.execute(
                delete(processes).where(processes.c.seen_at < now - GONE_AFTER, _taken_over | (processes.c.seen_at < now - FORGOTTEN_AFTER))
            )
            statement = upsert(session, Process).values(row)
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))

    async def run(self) -> None:
        """Beats until it is cancelled; a database that is away for a moment does not end it."""
        while True:
            try:
                await asyncio.to_thread(self.beat)
            except Exception as error:  # noqa: BLE001 - see above
                log.error("the beat of this process failed and is tried again: %s", where(error))
            await asyncio.sleep(BEAT_SECONDS)

    def leave(self) -> None:
        """The process ends as it should; if the database is away, it is forgotten after a minute."""
        try:
            with self._engine.db.write() as session:
                session.execute(delete(processes).where(processes.c.id == self._row["id"]))
        except DBAPIError as error:
            log.warning("this process could not say that it ends: %s", where(error))


def refuse_unless_all_know(session: Session, behaviours: Collection[str]) -> None:
    """Raises:
    Conflict: a process that is alive lacks one of the steps (`kind@behaviour`); names them."""
    alive = select(processes.c.kind, processes.c.behaviours).where(processes.c.seen_at >= datetime.now(UTC) - GONE_AFTER)
    for kind, known in session.execute(alive.order_by(processes.c.kind)):
        if missing := sorted(set(behaviours) - set(known)):
            raise Conflict(_LACKING[kind], steps=missing)


_LACKING = {
    "web": "A running web server lacks the steps {steps}: install them there and start it again, then publish.",
    "worker": "A running worker lacks the steps {steps}: install them there and start it again, then publish.",
}
