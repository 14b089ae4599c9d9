"""A worker's own port: does the process live, does it work, what has it done. No pages, no data of people."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast

import uvicorn
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.measured import may_measure
from api.samples import Samples
from engine.engine import Engine
from journeys.channels import SENDABLE

CHECK_SECONDS = 2.0
MOST_CONNECTIONS = 32
IDLE_SECONDS = 5.0
"""A connection that has not asked by then is closed."""
STEP_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
EFFECT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

IsUp = Callable[[], Awaitable[bool]]


class WorkerMetrics:
    """What this worker did since it started (`activities.measures.Measures`), and samples of the database."""

    def __init__(self, engine: Engine) -> None:
        self.own = CollectorRegistry()
        self.shared = CollectorRegistry()
        self.shared.register(Samples(engine))
        self.steps = Counter("pfadwerk_steps", "Steps of runs, by what the run does then.", ("op",), registry=self.own)
        self.step_seconds = Histogram("pfadwerk_step_seconds", "Time of a step.", registry=self.own, buckets=STEP_BUCKETS)
        self.effects = Counter(
            "pfadwerk_effects", "Attempts of effects, by how they ended or why they come back.", ("channel", "outcome"), registry=self.own
        )
        self.effect_seconds = Histogram(
            "pfadwerk_effect_seconds", "Time of an attempt of an effect.", ("channel",), registry=self.own, buckets=EFFECT_BUCKETS
        )
        self.messages = Counter("pfadwerk_messages", "Messages that met their end here.", ("channel", "outcome"), registry=self.own)
        self.database_up = Gauge("pfadwerk_database_up", "Whether the database answers.", registry=self.own)
        self.temporal_up = Gauge("pfadwerk_temporal_up", "Whether Temporal answers.", registry=self.own)

    def stepped(self, op: str, seconds: float) -> None:
        self.steps.labels(op).inc()
        self.step_seconds.observe(seconds)

    def performed(self, channel: str, outcome: str, seconds: float) -> None:
        self.effects.labels(channel, outcome).inc()
        self.effect_seconds.labels(channel).observe(seconds)
        if channel in SENDABLE and outcome in ENDS:
            self.messages.labels(channel, outcome).inc()

    def page(self, temporal: bool, core: bytes) -> bytes:
        """`core`: what the core of the Temporal SDK tells of itself."""
        self.temporal_up.set(temporal)
        try:
            shared = generate_latest(self.shared)
            self.database_up.set(1)
        except (DBAPIError, TimeoutError):
            shared = b""
            self.database_up.set(0)
        return generate_latest(self.own) + shared + core


ENDS = frozenset({"sent", "uncertain", "bounced", "failed", "skipped"})
"""Of messages; every other outcome is an attempt that comes back."""


@dataclass(slots=True)
class WorkerPort:
    """`working`: tasks are taken; set by the worker when it has begun, and taken back when it is told to stop."""

    engine: Engine
    metrics: WorkerMetrics
    temporal_is_up: IsUp
    token: str = field(repr=False)
    core_port: int
    working: bool = False

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/health", self._health), Route("/ready", self._ready), Route("/metrics", self._metrics)])

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        database, temporal = await asyncio.gather(self._database_is_up(), self.temporal_is_up())
        ready = self.working and database and temporal
        told = {
            "status": "ready" if ready else "not ready",
            "working": self.working,
            "database": _word(database),
            "temporal": _word(temporal),
        }
        return JSONResponse(told, 200 if ready else 503)

    async def _metrics(self, request: Request) -> Response:
        if not may_measure(self.token, request):
            return PlainTextResponse("Set PFADWERK_METRICS_TOKEN and send it: Authorization: Bearer …\n", 403)
        temporal = await self.temporal_is_up()
        return Response(await run_in_threadpool(self._page, temporal), media_type="text/plain; version=0.0.4")

    def _page(self, temporal: bool) -> bytes:
        return self.metrics.page(temporal, _core(self.core_port))

    async def _database_is_up(self) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await run_in_threadpool(self._ask_database)
        except (DBAPIError, TimeoutError):
            return False
        return True

    def _ask_database(self) -> None:
        with self.engine.db.read() as session:
            self.engine.index(session)


def _word(is_up: bool) -> str:
    return "up" if is_up else "down"


_HERE = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine, whatever proxy the environment names."""


def _core(port: int) -> bytes:
    """The numbers of the SDK's core, which listens on this machine for us alone; nothing if it does not answer."""
    try:
        with _HERE.open(f"http://127.0.0.1:{port}/metrics", timeout=CHECK_SECONDS) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


class _Inside(uvicorn.Server):
    """A server in somebody else's process, who hears the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _prompt(seconds: float) -> type[H11Protocol]:
    """Closes a connection that asks nothing: some that stay idle would take the place of the probes."""

    class Prompt(H11Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(asyncio.Transport, transport))
            self.loop.call_later(seconds, self._close_unless_asked)

        def _close_unless_asked(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Prompt


@asynccontextmanager
async def served(port: WorkerPort, listening: socket.socket, idle_seconds: float = IDLE_SECONDS) -> AsyncIterator[None]:
    """Answers on the socket until the block ends."""
    config = uvicorn.Config(
        port.app(),
        http=_prompt(idle_seconds),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = _Inside(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
