"""One preview at a time for each person, so that nobody takes all the processes that render. Whoever waits holds no thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from journeys.errors import TooMany

MOST_WAITING = 30
"""Of one person: a page of thirty small previews still shows them all."""


class Turns:
    """Used by one event loop."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Waits until nobody else acts for `who`.

        Raises: TooMany: many are waiting already.
        """
        lock, present = self._locks.setdefault(who, (asyncio.Lock(), []))
        if len(present) > MOST_WAITING:
            raise TooMany("Too many previews at once; wait until the first ones are done.", 1.0)
        present.append(None)
        try:
            async with lock:
                yield
        finally:
            present.pop()
            if not present:
                del self._locks[who]
