"""Events that are stored and still owe something: which, why, and trying it at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN
from api.http.json_body import JsonRoute
from api.server import TheServer
from engine.enrolment import unrouted

router = APIRouter(prefix="/api/v1/events", tags=["runs"], route_class=JsonRoute)


class UnroutedPart(BaseModel):
    """A part of what a stored event should set off that failed; it is tried again at `next_at`."""

    model_config = ConfigDict(from_attributes=True)

    event_id: int
    name: str = Field(description="Of the event.")
    contact_id: str
    received_at: datetime
    part: str = Field(
        description="`all`, `inbox` (telling the runs that wait for it), `goal:<run id>` or `entry:<journey id>`.",
        examples=["entry:019aa1b27f0e4c1d9b3a5e6f7a8b9c0d"],
    )
    reason: str = Field(
        description="`journey_not_loaded`, or the kind of error and its place in the code.", examples=["journey_not_loaded"]
    )
    attempts: int
    first_at: datetime
    next_at: datetime


class UnroutedPage(BaseModel):
    """The newest parts, and how many there are (at most 1,000 are counted)."""

    items: list[UnroutedPart]
    count: int


class Retried(BaseModel):
    """So many parts are tried within seconds."""

    count: int


@router.get("/unrouted", summary="Stored events that wait to be routed", responses=ADMIN)
def list_unrouted(
    server: TheServer, actor: Annotated[Actor, needs("event.read_unrouted")], limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> UnroutedPage:
    """An event is stored before it is routed. Where routing fails, the event stays and the failed part is tried again, for as long as it takes."""
    with server.engine.db.read() as session:
        items = [UnroutedPart.model_validate(row) for row in unrouted.page(session, limit)]
        return UnroutedPage(items=items, count=unrouted.count(session))


@router.post("/unrouted/retry", summary="Try all of them now", responses=ADMIN)
def retry_unrouted(server: TheServer, actor: Annotated[Actor, needs("event.retry")]) -> Retried:
    """At the keeper's next round, without waiting for their turn."""
    with server.engine.db.write() as session:
        return Retried(count=unrouted.try_now(session, server.engine.clock.now()))
