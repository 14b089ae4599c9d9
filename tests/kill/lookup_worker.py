"""`pfadwerk worker` with one more provider: `http_fake`, of the kind `lookup`, at the port in PFADWERK_TEST_LOOKUP_PORT."""

from __future__ import annotations

import asyncio
import os
import signal

import worker
from activities.providers import http_fake
from commands import lifeline
from commands.logs import configure
from settings import Settings


async def work(settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port = int(os.environ["PFADWERK_TEST_LOOKUP_PORT"])
    await worker.run(settings, lifeline.announce_ready, stop, [http_fake.at(port, 2.0)])


if __name__ == "__main__":
    lifeline.watch_parent()
    settings = Settings.load()
    configure(settings, "worker")
    asyncio.run(work(settings))
