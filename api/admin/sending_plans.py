"""Daily limits and warm-ups of provider accounts and of the domains that are sent from."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.server import TheServer
from storage.tally import day_of
from workspace import sending_plans
from workspace.sending_plans import MOST, MOST_GROWTH, Plan

router = APIRouter(prefix="/api/v1/sending-plans", tags=["messages"], route_class=JsonRoute)
Name = Annotated[
    str, Path(max_length=260, description="An account, or a domain of the senders with an @ before it.", examples=["@shop.example"])
]


class WarmUp(BaseModel):
    """A volume that grows day by day until it reaches the limit."""

    model_config = ConfigDict(extra="forbid")

    begins: date = Field(description="The first day (UTC).", examples=["2026-03-02"])
    first: int = Field(ge=1, le=MOST, description="Messages on that day; before it, too.", examples=[50])
    growth: int = Field(ge=1, le=MOST_GROWTH, description="By how many percent more on each further day.", examples=[50])


class SendingPlan(BaseModel):
    """How many messages may leave on a day (UTC)."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"a_day": 20_000, "warm_up": {"begins": "2026-03-02", "first": 50, "growth": 50}}}
    )

    a_day: int = Field(ge=1, le=MOST, description="At most.")
    warm_up: WarmUp | None = Field(None, description="None: the limit holds at once.")


class SendingPlanRow(SendingPlan):
    """A plan, and how today stands."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={})

    name: str = Field(examples=["@shop.example"])
    limit: int = Field(description="Today's.", examples=[75])
    taken: int = Field(description="Taken of it: sent, or about to be.", examples=[75])
    waiting: int = Field(description="Messages that are planned for later days.", examples=[420])


class SendingPlanRows(BaseModel):
    """All of them; what has no plan has no limit."""

    items: list[SendingPlanRow]


@router.get("", summary="Daily limits and warm-ups", responses=ADMIN)
def list_sending_plans(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> SendingPlanRows:
    """Of accounts, and of domains as senders."""
    today = day_of(server.engine.clock.real_now())
    with server.engine.db.read() as session:
        items = []
        for name, plan in sorted(sending_plans.known(session).items()):
            [day] = sending_plans.ahead_of(session, name, plan, today, 1)
            waiting = sending_plans.waiting(session, name, today)
            items.append(SendingPlanRow(name=name, limit=day.limit, taken=day.taken, waiting=waiting, **_said(plan).model_dump()))
    return SendingPlanRows(items=items)


@router.put("/{name}", summary="Limit how much leaves on a day", responses=CHANGE)
def put_sending_plan(name: Name, body: SendingPlan, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> SendingPlan:
    """Holds within a second. Marketing that finds no room waits for the same hour of the next day that has some; transactional messages are
    counted and leave. Audited."""
    grows = body.warm_up
    plan = Plan(body.a_day, grows.begins, grows.first, grows.growth) if grows else Plan(body.a_day)
    with server.engine.db.write() as session:
        sending_plans.put(session, name, plan, actor.id, server.engine.clock.real_now())
    return _said(plan)


@router.delete("/{name}", summary="Take a daily limit away", status_code=204, responses=ONE)
def remove_sending_plan(name: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> None:
    """What was put off leaves at the hour it was planned for. Audited."""
    with server.engine.db.write() as session:
        sending_plans.remove(session, name, actor.id)


def _said(plan: Plan) -> SendingPlan:
    grows = WarmUp(begins=plan.warm_up_from, first=plan.first, growth=plan.growth) if plan.warm_up_from else None
    return SendingPlan(a_day=plan.a_day, warm_up=grows)
