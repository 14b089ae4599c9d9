"""The loop of whoever looks every few seconds whether something is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from journeys.errors import where

log = logging.getLogger(__name__)


async def look_until(stop: asyncio.Event, look: Callable[[], Awaitable[Any]], every_seconds: float, what: str) -> None:
    """Looks at once and then every few seconds until `stop` is set; what is on its way then is finished. `what` names it in the log."""
    while not stop.is_set():
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - a database that is away for a moment does not end it
            log.error("%s failed and is tried again: %s", what, where(error))
        try:
            await asyncio.wait_for(stop.wait(), every_seconds)
        except TimeoutError:
            continue
