"""Backups that were restored: what may have left before, and deciding about all of it at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE
from api.http.json_body import JsonRoute
from api.http.paging import Id
from api.server import TheServer
from engine import perhaps

router = APIRouter(prefix="/api/v1/restores", tags=["messages"], route_class=JsonRoute)
Assumption = Literal["sent", "unsent", "ask"]


class RestoreRow(BaseModel):
    """A backup that was restored. What left between `since` and `until` stands nowhere in it. `counts`: calls that may have left and have come
    up since, by what was made of them: `ask` waits for a person, `sent` counts as sent, `unsent` went (perhaps a second time), `absent` the
    provider never got, `left` a person has left as it is."""

    id: str
    since: datetime
    until: datetime
    assume: str = Field(description="What is made of those that come up from now on.", examples=["ask"])
    restored_at: datetime
    counts: dict[str, int] = Field(examples=[{"ask": 12, "absent": 3}])


class Restores(BaseModel):
    """The last restores, newest first."""

    items: list[RestoreRow]


class Assumed(BaseModel):
    """`sent`: all of them arrived. `unsent`: send them all. `ask`: one by one, as `GET /api/v1/messages?undecided=true` lists them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"assume": "sent"}})

    assume: Assumption


class Deciding(BaseModel):
    """`job`: works through those that are listed; null if none is, or they are decided one by one."""

    job: str | None


@router.get("", summary="Restored backups, and what may have left before", responses=ADMIN)
def list_restores(server: TheServer, actor: Annotated[Actor, needs("message.list")]) -> Restores:
    """Empty if no backup was ever restored into this database."""
    with server.engine.db.read() as session:
        return Restores(
            items=[
                RestoreRow(**one.restore.model_dump(include=set(RestoreRow.model_fields) - {"counts"}), counts=one.counts)
                for one in perhaps.listed(session)
            ]
        )


@router.post(
    "/{restore_id}/assume", summary="Decide about everything that may have left before a restore", status_code=202, responses=CHANGE
)
def assume(restore_id: Id, said: Assumed, server: TheServer, actor: Annotated[Actor, needs("message.decide")]) -> Deciding:
    """What is listed is worked through as a job, what comes up later is dealt with like it. Written into the audit trail."""
    engine = server.engine
    with engine.db.write() as session:
        job = perhaps.decide_all(session, restore_id, said.assume, actor.id, engine.clock.now())
        return Deciding(job=job.id if job is not None else None)
