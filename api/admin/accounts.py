"""Provider accounts that take nothing now: which, since when, why, and trying one at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, ONE
from api.http.json_body import JsonRoute
from api.server import TheServer
from workspace import stopped_accounts

router = APIRouter(prefix="/api/v1/accounts", tags=["messages"], route_class=JsonRoute)


class StoppedAccount(BaseModel):
    """A provider account that refuses us or does not answer. Its messages wait; one at a time tries, the next at `next_probe_at` (real time)."""

    model_config = ConfigDict(from_attributes=True)

    account: str = Field(examples=["smtp.default"])
    code: str = Field(description="What the last try heard.", examples=["smtp_535_5.7.8"])
    since: datetime
    probes: int = Field(description="Tries since then.")
    next_probe_at: datetime


class StoppedAccounts(BaseModel):
    """All accounts that take nothing now."""

    items: list[StoppedAccount]


@router.get("/stopped", summary="Provider accounts that take nothing now", responses=ADMIN)
def list_stopped(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> StoppedAccounts:
    """Empty while every account takes messages, as far as anybody has tried."""
    with server.engine.db.read() as session:
        return StoppedAccounts(items=[StoppedAccount.model_validate(row) for row in stopped_accounts.listed(session)])


@router.post("/stopped/{account}/try", summary="Try an account now", status_code=204, responses=ONE)
def try_account(server: TheServer, account: Annotated[str, Path(max_length=130)], actor: Annotated[Actor, needs("account.try")]) -> None:
    """The next message that comes by tries it, within seconds; the answer is in the list."""
    with server.engine.db.write() as session:
        stopped_accounts.try_now(session, account, actor.id, datetime.now(UTC))
