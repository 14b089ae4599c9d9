"""What one web server process holds, handed to endpoints by dependency; nothing of it is global."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis

from activities.accounts import Accounts
from activities.happenings import Recorded
from activities.providers import Provider
from activities.rendering.turns import Turns
from activities.sending.messages import MessageSettings
from api.http.rate_limits import Limits, Rate
from api.http.shared_transactions import SharedTransactions
from api.in_app.streams import Streams
from api.metrics import Metrics
from api.tracking.write_keys import KeyRing
from api.tracking.writer import Waker, Writer
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from settings import Settings
from workspace.refusals import Refusals

WAKE_SECONDS = 30.0


@dataclass(slots=True)
class Server:
    """`provider` carries test sends: whoever carries e-mail among `accounts`. `waker` is None where no Temporal is wanted (tools, tests): the keeper then finds what to do from the rows."""

    settings: Settings
    engine: Engine
    waker: Waker | None
    redis: Redis | None
    limits: Limits
    keys: KeyRing
    writer: Writer
    metrics: Metrics
    loop: asyncio.AbstractEventLoop
    messaging: MessageSettings
    provider: Provider
    accounts: Accounts
    streams: Streams
    reports: SharedTransactions[tuple[Recorded, Wakeups]]
    """Of what providers tell."""
    turns: Turns = field(default_factory=Turns)
    """Of previews, by who asks; the pages take them, too."""
    refusals: Refusals = field(default_factory=Refusals)
    """What the audit trail was told of lately."""
    _wakes: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, rate: Rate, who: str) -> None:
        """`Limits.take` for endpoints in worker threads.

        Raises:
            TooMany: the bucket of `who` is empty.
        """
        asyncio.run_coroutine_threadsafe(self.limits.take(rate, who), self.loop).result(WAKE_SECONDS)

    def wake(self, wakeups: Wakeups) -> None:
        """Wakes runs and starts workflows after a commit; called from a worker thread."""
        if wakeups and self.waker is not None:
            self.loop.call_soon_threadsafe(self._start_wake, wakeups)

    def _start_wake(self, wakeups: Wakeups) -> None:
        assert self.waker is not None
        task = self.loop.create_task(self.waker.wake(wakeups))
        self._wakes.add(task)
        task.add_done_callback(self._wakes.discard)


def _server(request: Request) -> Server:
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


TheServer = Annotated[Server, Depends(_server)]
