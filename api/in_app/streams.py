"""Open streams of this process: who waits for whose messages, and one look a second for all of them.

A look is one query by the primary key, and only while somebody waits; its cost is the number of new messages and not that of streams. It only
wakes: what a stream tells, it reads from the database itself, and it reads it anew with every heartbeat, too, so that nothing is missed where
another transaction commits late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from journeys.errors import TooMany
from models import Database, InAppMessage

log = logging.getLogger("pfadwerk.api")

LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 20.0
"""Proxies cut what is silent for longer."""
OF_A_CONTACT = 5
"""Streams of one contact; a browser opens one a tab."""
OF_A_KEY = 2_000
"""Streams of one write key, in one process."""
PAGE = 500
"""New messages of one query of a look; after a full page it looks again at once."""


class Streams:
    """Used in the event loop alone. `stopping`: whether the server ends, and the streams with it, since it waits for them.

    `look_seconds` lie between two looks; after `heartbeat_seconds` without news a stream says that it is alive, and asks whether it may go on.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self.stopping: Callable[[], bool] = lambda: False
        self.look_seconds = LOOK_SECONDS
        self.heartbeat_seconds = HEARTBEAT_SECONDS
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._by_key: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None

    def _check(self, key_id: str, contact_id: str) -> None:
        if len(self._waiting.get(contact_id, ())) >= OF_A_CONTACT or self._by_key.get(key_id, 0) >= OF_A_KEY:
            raise TooMany("Too many open streams; close one, or ask for the list instead.", 30)

    @asynccontextmanager
    async def waiting(self, key_id: str, contact_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the contact may have got a message.

        Raises:
            TooMany: this contact or this key has as many streams open as it may.
        """
        self._check(key_id, contact_id)
        bell = asyncio.Event()
        self._waiting.setdefault(contact_id, set()).add(bell)
        self._by_key[key_id] = self._by_key.get(key_id, 0) + 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield bell
        finally:
            self._leave(key_id, contact_id, bell)

    def _leave(self, key_id: str, contact_id: str, bell: asyncio.Event) -> None:
        self._waiting[contact_id].discard(bell)
        if not self._waiting[contact_id]:
            del self._waiting[contact_id]
        self._by_key[key_id] -= 1
        if not self._by_key[key_id]:
            del self._by_key[key_id]
        if not self._waiting and self._looking is not None:
            self._looking.cancel()
            self._looking = None  # cancelled is not yet done, and whoever comes meanwhile needs a look of their own

    async def close(self) -> None:
        """Ends the looking."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        newest: int | None = None
        while True:
            found: list[tuple[int, str]] = []
            if self.stopping():
                self._ring_all()
            try:
                if newest is None:
                    newest = await run_in_threadpool(self._newest)
                    self._ring_all()  # whoever has read before that looks once more
                found = await run_in_threadpool(self._since, newest)
                newest = self._ring(found, newest)
            except SQLAlchemyError as error:  # that of a pool with no connection left is no DBAPIError
                log.warning("new in-app messages were not looked for: %s", type(error).__name__)
            if len(found) < PAGE:
                await asyncio.sleep(self.look_seconds)

    def _ring_all(self) -> None:
        for bells in self._waiting.values():
            for bell in bells:
                bell.set()

    def _ring(self, found: list[tuple[int, str]], newest: int) -> int:
        for _, contact_id in found:
            for bell in self._waiting.get(contact_id, ()):
                bell.set()
        return max((number for number, _ in found), default=newest)

    def _newest(self) -> int:
        with self._db.read() as session:
            return session.scalar(select(func.max(InAppMessage.id))) or 0

    def _since(self, after: int) -> list[tuple[int, str]]:
        statement = select(InAppMessage.id, InAppMessage.contact_id).where(col(InAppMessage.id) > after)
        with self._db.read() as session:
            return [(number or 0, contact) for number, contact in session.execute(statement.order_by(col(InAppMessage.id)).limit(PAGE))]
