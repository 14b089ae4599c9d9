from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from journeys.nodes.node import Node
from journeys.types import Span
from journeys.values import Answer, Context, Leave, Outcome, WaitUntil
from journeys.worktime import add_working_time


class Wait(Node):
    """Waits for a fixed time, then continues.

    The time starts when the contact arrives at this step. With *working hours only*, nights, weekends and days off in
    the workspace's calendar do not count: four hours from Friday 15:00 end on Monday at 10:00 if working hours are 8
    to 17.
    """

    kind = "wait"
    label = "Wait"
    group = "time"
    icon = "clock"
    keywords = "delay pause sleep later days hours after"
    leaves_wait_through = "next"
    example = {"duration": "P1D"}

    duration: Annotated[Span, Field(gt=timedelta(0), title="How long", description="From one second to five years.")]
    working_time: bool = Field(False, title="Working hours only", description="Count only the workspace's working hours.")

    def enter(self, ctx: Context) -> Answer:
        at = self._ends_at(ctx)
        return self._leave() if at <= ctx.as_of else WaitUntil(at=at)

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        return self._leave()

    def minimum_wait(self) -> timedelta:
        return self.duration

    def _ends_at(self, ctx: Context) -> datetime:
        if self.working_time:
            return add_working_time(ctx.entered_at, self.duration, ctx.facts.calendar())
        return ctx.entered_at + self.duration

    def _leave(self) -> Leave:
        return Leave(outlet="next")
