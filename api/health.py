"""For load balancers and Prometheus: is the process alive, can it serve, what does it do."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from api.http.errors import Forbidden, answers, takes_nothing
from api.measured import may_measure
from api.server import Server, TheServer
from api.wakeups import TemporalWaker
from engine.engine import Engine
from engine.enrolment import unrouted
from models import Contact, Event
from workspace import stopped_accounts

router = APIRouter(tags=["operation"])

State = Literal["up", "down", "not configured"]
DatabaseState = Literal["up", "read only", "down"]
CHECK_SECONDS = 2.0


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`ready`: events are stored and pages work. `degraded`: they are, but something that makes them quick or lively is away, what
    some events set off waits, or a provider account takes no messages. `read only`: the database answers and takes nothing from this server."""

    status: Literal["ready", "degraded", "not ready"]
    database: DatabaseState
    temporal: State
    redis: State
    backlog: int
    journeys_not_loaded: list[str] = Field([], description="Keys of published journeys that this process cannot run.")
    accounts_stopped: list[str] = Field([], description="Provider accounts that take no messages now.")
    unrouted: int = Field(0, description="Parts of stored events that still wait to be routed; stops counting at 1,000.")


@router.get("/health", summary="Is the process alive?")
async def health() -> Health:
    """Answers as long as the process does; asks nobody else."""
    return Health()


@router.get(
    "/ready",
    summary="Can it serve?",
    responses={503: {"model": Readiness, "description": "The database does not answer, or takes nothing."}},
)
async def ready(server: TheServer, response: Response) -> Readiness:
    """Without Temporal or Redis events are still stored and nothing is lost: that is `degraded`, with status 200."""
    (database, broken, unrouted, stops), temporal, redis = await asyncio.gather(_database(server), _temporal(server), _redis(server))
    stores = database == "up"
    degraded = "down" in (temporal, redis) or bool(broken) or bool(stops) or unrouted > 0
    response.status_code = 200 if stores else 503
    return Readiness(
        status="not ready" if not stores else "degraded" if degraded else "ready",
        database=database,
        temporal=temporal,
        redis=redis,
        backlog=server.writer.backlog,
        journeys_not_loaded=broken,
        accounts_stopped=stops,
        unrouted=unrouted,
    )


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **answers(403)},
)
def metrics(server: TheServer, request: Request) -> Response:
    """Text format 0.0.4. Holds counts and times, no personal data. For whoever sends the token of the settings (`PFADWERK_METRICS_TOKEN`); while there is
    none, for this machine alone."""
    if not may_measure(server.settings.metrics_token.get_secret_value(), request):
        raise Forbidden("Set PFADWERK_METRICS_TOKEN and send it: Authorization: Bearer …")
    return Response(server.metrics.page(), media_type="text/plain; version=0.0.4")


async def _database(server: Server) -> tuple[DatabaseState, list[str], int, list[str]]:
    """Its state, the journeys this process cannot load, how much waits to be routed, and the accounts that take nothing."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await run_in_threadpool(_looked_at, server.engine)
    except (DBAPIError, TimeoutError):
        return "down", [], 0, []


def _looked_at(engine: Engine) -> tuple[DatabaseState, list[str], int, list[str]]:
    with engine.db.read() as session:
        broken = [journey.key for journey in engine.index(session).broken]
        waiting = unrouted.count(session)
        stops = [row.account for row in stopped_accounts.listed(session)]
    return "up" if _takes_writes(engine) else "read only", broken, waiting, stops


def _takes_writes(engine: Engine) -> bool:
    """Tries to store an event of somebody new, and lets go of it again: whatever stands against it, it stands against real ones."""
    now = engine.clock.now()
    nobody = Contact(created_at=now, updated_at=now)
    event = Event(contact_id=nobody.id, name="Probe", message_id=f"probe-{nobody.id}", occurred_at=now, received_at=now)
    try:
        with engine.db.write() as session:
            session.add(nobody)
            session.flush()
            session.add(event)
            session.flush()
            raise _Undone
    except _Undone:
        return True
    except DBAPIError as error:
        if takes_nothing(error):
            return False
        raise


class _Undone(Exception):
    """Rolls the probe back."""


async def _temporal(server: Server) -> State:
    if not isinstance(server.waker, TemporalWaker):
        return "not configured"
    return "up" if await server.waker.is_up() else "down"


async def _redis(server: Server) -> State:
    if server.redis is None:
        return "not configured"
    try:
        await server.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return "down"
    return "up"
