"""The connection to Temporal, made when it is there and never waited for: events are stored while it is away, the keeper wakes what was missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from temporalio.service import RPCError

from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups

log = logging.getLogger("pfadwerk.api")

RETRY_SECONDS = 2.0

Connect = Callable[[], Awaitable[Temporal]]


class TemporalWaker:
    """Rings through Temporal as soon as `run` has connected."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.temporal: Temporal | None = None

    async def run(self) -> None:
        """Connects, however long it takes; the client repairs lost connections itself afterwards."""
        while self.temporal is None:
            try:
                self.temporal = await self._connect()
            except (RuntimeError, RPCError, OSError) as error:
                log.warning("Temporal does not answer (%s); trying again", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def wake(self, wakeups: Wakeups) -> None:
        """Best effort; the keeper repeats what is lost here."""
        if self.temporal is None:
            log.warning(
                "Temporal is not connected: %d wake-ups and %d starts are left to the keeper", len(wakeups.runs), len(wakeups.starts)
            )
        else:
            await self.temporal.wake(wakeups)

    async def is_up(self) -> bool:
        """Whether Temporal answers now."""
        return self.temporal is not None and await self.temporal.is_up()
