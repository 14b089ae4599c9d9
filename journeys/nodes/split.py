from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from pydantic import Field

from journeys.draws import draw
from journeys.errors import Issue
from journeys.nodes.node import Node
from journeys.nodes.wait_for import OutletName
from journeys.types import Part
from journeys.values import Answer, Context, Leave

TOLERANCE = 0.01
"""Shares such as 33.33 + 33.33 + 33.33 still count as whole."""


class Arm(Part):
    name: OutletName = Field(title="Outlet")
    percent: float = Field(title="Share", description="In percent.", ge=0, le=100)


class Split(Node):
    """Divides contacts by share, to test one path against another.

    A contact always takes the same variant of the same split, however often it passes. Another *seed* reshuffles everyone.
    """

    kind = "split"
    label = "Split"
    group = "paths"
    icon = "shuffle"
    keywords = "a/b test ab test experiment random share percent variant winner"
    example = {"arms": [{"name": "a", "percent": 50}, {"name": "b", "percent": 50}]}
    fresh = example

    arms: tuple[Arm, ...] = Field(title="Variants", description="Shares add up to 100 percent.", min_length=2, max_length=20)
    salt: str = Field("", title="Seed", description="Change it to reshuffle everyone.", max_length=40)

    def outlets(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.arms)

    def enter(self, ctx: Context) -> Answer:
        drawn = draw(ctx.run.journey, ctx.node_id, self.salt, ctx.run.contact_id)
        return Leave(outlet=self._arm_at(drawn), note={"drawn_percent": round(drawn * 100, 3)})

    def _arm_at(self, drawn: float) -> str:
        """The arm on whose stretch of the line from 0 to the sum of shares `drawn` falls; arms of no share are never taken."""
        point = drawn * sum(arm.percent for arm in self.arms)
        ends = accumulate(arm.percent for arm in self.arms)
        return next((arm.name for arm, end in zip(self.arms, ends, strict=True) if point < end), self.arms[-1].name)

    def problems(self, node_id: str) -> Iterable[Issue]:
        total = sum(arm.percent for arm in self.arms)
        if abs(total - 100) > TOLERANCE * len(self.arms):
            text = "The shares add up to {total} %, not 100 %."
            yield Issue(code="shares", text=text, values={"total": round(total, 2)}, node_id=node_id, field="arms")
