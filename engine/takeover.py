"""What a process that has died left undone: runs it accepted and did not start, wake-ups it did not send. Done by any worker, within seconds.

No run is marked for it: a start is two facts only, the row and the workflow. When a process stops saying that it is alive (`presence`), the
rows of its last seconds are looked through; to wake a run that was started is harmless, and none is started twice, because the workflow's id
is the run's.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Executable, bindparam, false, select

from engine import presence
from engine.engine import Engine
from engine.keeper import wake_or_start
from engine.temporal.client import Temporal
from journeys.errors import where
from models import Inbox, Run, id_at
from storage.sql import on, table

log = logging.getLogger(__name__)

runs = table(Run)
inbox = table(Inbox)

PAGE = 200
BEFORE = timedelta(seconds=10)
"""How far back from its last beat a process is taken to have left things undone: that beat may have been late, and clocks differ."""

_begun = (
    select(runs.c.id).where(runs.c.id > bindparam("after"), runs.c.step == 1, runs.c.status == "active").order_by(runs.c.id).limit(PAGE)
)
_unread = (
    select(inbox.c.run_id)
    .join(runs, runs.c.id == inbox.c.run_id)
    .where(inbox.c.consumed == false(), inbox.c.arrived_at >= bindparam("since"), runs.c.ended_at.is_(None))
    .distinct()
    .limit(PAGE)
)


class Takeover:
    """Looks as often as processes say that they are alive."""

    def __init__(self, engine: Engine, temporal: Temporal) -> None:
        self._engine = engine
        self._temporal = temporal

    async def run(self) -> None:
        """Looks until it is cancelled; whatever fails is tried again at the next look."""
        while True:
            try:
                await self.look(self._engine.clock.real_now())
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment does not end it
                log.error("what dead processes left could not be taken over, and is tried again: %s", where(error))
            await asyncio.sleep(presence.BEAT_SECONDS)

    async def look(self, now: datetime) -> None:
        """Does what processes that are silent left undone, and only then notes that it is done: whoever dies in between does it again, and so
        does whoever cannot tell Temporal now."""
        for process in await asyncio.to_thread(self._silent, now):
            woken, all_told = await self._wake_all(process.seen_at - BEFORE)
            if all_told:
                await asyncio.to_thread(self._note, process.id, process.seen_at)
            log.warning("a %s process is silent since %s; %d runs were woken", process.kind, process.seen_at.isoformat(), woken)

    def _silent(self, now: datetime) -> list[presence.Silent]:
        with self._engine.db.read() as session:
            return presence.silent(session, now)

    def _note(self, process_id: str, seen_at: datetime) -> None:
        with self._engine.db.write() as session:
            presence.note_taken_over(session, process_id, seen_at)

    async def _wake_all(self, since: datetime) -> tuple[int, bool]:
        """How many runs were woken, and whether Temporal heard of all of them."""
        unread = await asyncio.to_thread(self._page, _unread, {"since": self._engine.clock.to_virtual(since)})
        told = await self._wake(unread)
        count, after = len(unread), id_at(since)
        while page := await asyncio.to_thread(self._page, _begun, {"after": after}):
            told = await self._wake(page) and told
            count, after = count + len(page), page[-1]
        return count, told

    async def _wake(self, page: list[str]) -> bool:
        return all(await asyncio.gather(*(wake_or_start(self._engine, self._temporal, run_id) for run_id in page)))

    def _page(self, statement: Executable, values: dict[str, Any]) -> list[str]:
        with self._engine.db.read() as session:
            return [row[0] for row in on(session).execute(statement, values)]
