from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys.errors import Issue
from journeys.nodes.node import Node
from journeys.nodes.wait_for import OutletName
from journeys.rules import Rule, explain, holds
from journeys.types import Part
from journeys.values import Answer, Context, Leave

OTHERWISE = "otherwise"


class Case(Part):
    name: OutletName = Field(title="Outlet")
    rule: Rule = Field(title="If", json_schema_extra={"widget": "rule"})


class Switch(Node):
    """Checks several conditions in order and continues through the first that is true, or through *otherwise*."""

    kind = "switch"
    label = "Switch"
    group = "paths"
    icon = "list-tree"
    keywords = "condition branch paths several cases segment language country"
    example = {"cases": [{"name": "vip", "rule": {"tag": "vip"}}, {"name": "fits", "rule": {"score": "fit", "value": 50}}]}
    fresh = {"cases": [{"name": "a"}]}

    cases: tuple[Case, ...] = Field(title="Cases", min_length=1, max_length=20)

    def outlets(self) -> tuple[str, ...]:
        return (*(case.name for case in self.cases), OTHERWISE)

    def enter(self, ctx: Context) -> Answer:
        for case in self.cases:
            if holds(case.rule, ctx.facts, ctx.as_of):
                return Leave(outlet=case.name, note={"rule": explain(case.rule, ctx.facts, ctx.as_of)})
        seen = {case.name: explain(case.rule, ctx.facts, ctx.as_of) for case in self.cases}
        return Leave(outlet=OTHERWISE, note={"cases": seen})

    def rules(self) -> Iterable[tuple[str, Rule]]:
        for i, case in enumerate(self.cases):
            yield f"cases.{i}.rule", case.rule

    def problems(self, node_id: str) -> Iterable[Issue]:
        if any(case.name == OTHERWISE for case in self.cases):
            text = "A case cannot be called “{name}”: that outlet is for everyone else."
            yield Issue(code="outlet_reserved", text=text, values={"name": OTHERWISE}, node_id=node_id, field="cases")
