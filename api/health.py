"""For load balancers and Prometheus: is the process alive, can it serve, what does it do."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.server import Server, TheServer
from api.temporal import Bells

router = APIRouter(tags=["operation"])

State = Literal["up", "down", "not configured"]
CHECK_SECONDS = 2.0


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`ready`: events are stored and pages work. `degraded`: they are, but something that makes them quick or lively is away."""

    status: Literal["ready", "degraded", "not ready"]
    database: State
    temporal: State
    redis: State
    backlog: int


@router.get("/health", summary="Is the process alive?")
async def health() -> Health:
    """Answers as long as the process does; asks nobody else."""
    return Health()


@router.get(
    "/ready",
    summary="Can it serve?",
    responses={503: {"model": Readiness, "description": "The database does not answer."}},
)
async def ready(server: TheServer, response: Response) -> Readiness:
    """Without Temporal or Redis events are still stored and nothing is lost: that is `degraded`, with status 200."""
    database, temporal, redis = await asyncio.gather(_database(server), _temporal(server), _redis(server))
    degraded = "down" in (temporal, redis)
    status: Literal["ready", "degraded", "not ready"] = "not ready" if database == "down" else "degraded" if degraded else "ready"
    response.status_code = 503 if database == "down" else 200
    return Readiness(status=status, database=database, temporal=temporal, redis=redis, backlog=server.writer.backlog)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(server: TheServer) -> Response:
    """Text format 0.0.4. Holds counts and times, no personal data."""
    return Response(server.metrics.page(), media_type="text/plain; version=0.0.4")


async def _database(server: Server) -> State:
    def ask() -> None:
        with server.engine.db.read() as session:
            session.execute(text("SELECT 1"))

    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await run_in_threadpool(ask)
    except (DBAPIError, TimeoutError):
        return "down"
    return "up"


async def _temporal(server: Server) -> State:
    if not isinstance(server.waker, Bells):
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
