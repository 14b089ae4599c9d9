"""The child processes of the benchmarks: `python -m bench.serve NAME`. Settings come from the environment, as in production.

`worker` is the product's worker with the provider `http_fake`, `api` its web server, `callbacks` the same for `bench.callbacks`, `baseline` the worker of `bench.baseline`, and
`receiver` what both send to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from commands import lifeline
from settings import Settings

RECEIVER_PORT = "PFADWERK_TEST_RECEIVER_PORT"


def main() -> None:
    lifeline.watch_parent()
    PROGRAMS[sys.argv[1]](int(os.environ[RECEIVER_PORT]))
    sys.stdout.flush()
    os._exit(0)  # the SDK's threads may abort the interpreter's own end


def _worker(port: int) -> None:
    import worker
    from activities.providers import http_fake
    from commands.worker_main import ready

    _until_told(lambda stop: worker.run(Settings.load(), ready, stop, [http_fake.at(port)]))


def _baseline(port: int) -> None:
    from bench import baseline
    from commands.worker_main import ready

    _until_told(lambda stop: baseline.work(Settings.load(), port, ready, stop))


def _receiver(port: int) -> None:
    from bench import receiver

    asyncio.run(receiver.serve(port, lifeline.announce_ready))


def _api(port: int) -> None:
    from commands.api_main import api_main

    api_main(Settings.load())


def _callbacks(port: int) -> None:
    from bench import callbacks

    callbacks.serve(Settings.load())


def _until_told(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    async def working() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await work(stop)

    asyncio.run(working())


PROGRAMS: dict[str, Callable[[int], None]] = {
    "worker": _worker, "baseline": _baseline, "receiver": _receiver, "api": _api, "callbacks": _callbacks,
}  # fmt: skip

if __name__ == "__main__":
    main()
