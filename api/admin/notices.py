"""What the team was told of, by which ways, and a test of them. Who is told is the workspace's setting `notices`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN
from api.http.json_body import JsonRoute
from api.server import TheServer
from workspace import notices

router = APIRouter(prefix="/api/v1/notices", tags=["workspace"], route_class=JsonRoute)


class Way(BaseModel):
    """One way of a notice. `uncertain`: the call began, nobody knows how it ended, and it may not be repeated."""

    model_config = ConfigDict(from_attributes=True)

    route: Literal["mail", "webhook"]
    member_id: str = Field(description="Who is written to; empty for the webhook.")
    state: Literal["waiting", "claimed", "sent", "failed", "uncertain"]
    attempts: int
    next_at: datetime
    code: str = Field(description="What the last try heard.", examples=["http_503"])


class Notice(BaseModel):
    """Something the team was, or is going to be, told of (real time)."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    topic: Literal["stuck_runs", "account_stopped", "test"]
    about: str = Field(description="The journey's id, or the provider account.")
    runs: int = Field(description="How many got stuck.")
    detail: dict[str, Any] = Field(description="Codes, ids and counts.")
    state: Literal["gathering", "told", "withdrawn"] = Field(
        description="`gathering`: more of the same is added until `due_at`; `withdrawn`: it had settled before anybody was told."
    )
    made_at: datetime
    due_at: datetime
    ways: list[Way]


class Notices(BaseModel):
    """The newest ones."""

    items: list[Notice]


@router.get("", summary="The newest notices to the team", responses=ADMIN)
def list_notices(server: TheServer, actor: Annotated[Actor, needs("setting.read")]) -> Notices:
    """At most 50; they are kept for 30 days."""
    with server.engine.db.read() as session:
        return Notices(items=[Notice.model_validate(one) for one in notices.listed(session, 50)])


@router.post("/test", summary="Send a test notice", status_code=204, responses=ADMIN)
def test_notices(server: TheServer, actor: Annotated[Actor, needs("notice.test")]) -> None:
    """To the webhook, and by mail to the member who asks (a key: to the webhook only). It goes within seconds; the list says what became of it."""
    with server.engine.db.write() as session:
        notices.test(
            session, actor.id, actor.id.removeprefix("member:") if actor.id.startswith("member:") else "", server.engine.clock.real_now()
        )
