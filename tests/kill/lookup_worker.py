"""`pfadwerk worker` with one more provider: `http_fake`, of the kind `lookup`, at the port in PFADWERK_TEST_RECEIVER_PORT."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import worker
from activities.providers import http_fake
from activities.providers.provider import ConfiguredProvider
from commands import lifeline
from commands.logs import configure
from settings import Settings


async def work(settings: Settings, kinds: Sequence[type[ConfiguredProvider]]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await worker.run(settings, lifeline.announce_ready, stop, kinds)


if __name__ == "__main__":
    lifeline.watch_parent()
    settings = Settings.load()
    configure(settings, "worker")
    asyncio.run(work(settings, [http_fake.at(int(os.environ["PFADWERK_TEST_RECEIVER_PORT"]), 2.0)]))
