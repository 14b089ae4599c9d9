"""`pfadwerk worker`: one worker process, until SIGTERM or Ctrl-C; sends in flight are finished first."""

from __future__ import annotations

import asyncio
import signal

from commands import lifeline, lock, memory
from commands.logs import configure
from settings import Settings


def worker_main(settings: Settings) -> int:
    """Runs a worker; watches the supervisor, if there is one, from the first line on.

    Raises:
        Misconfigured: the settings, the database or the versions of open runs do not fit.
        NoTemporal: no server answers.
    """
    lifeline.watch_parent()
    configure(settings, "worker")
    with lock.use(settings.home):
        asyncio.run(_work(settings))
    return 0


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    import worker
    from commands.setup import NoTemporal
    from models.migrate import check

    check(settings.database_url)
    try:
        await worker.run(settings, ready, stop)
    except RuntimeError as error:
        if "Failed client connect" not in str(error):
            raise
        raise NoTemporal(
            "No Temporal server answers at {address}. Check PFADWERK_TEMPORAL_ADDRESS and PFADWERK_TEMPORAL_TLS.",
            address=settings.temporal_address or "–",
        ) from None


def ready() -> None:
    """Everything is loaded and the queues are listened to: tells the supervisor, if there is one."""
    memory.settle()
    lifeline.announce_ready()
