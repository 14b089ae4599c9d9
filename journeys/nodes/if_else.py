from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys.nodes.node import LAST_MESSAGE, Node, Ready
from journeys.rules import Rule, explain, holds
from journeys.values import Answer, Context, Leave


class IfElse(Node):
    """Checks a condition on the contact and continues through *yes* or *no*.

    The condition can use contact fields, tags, scores, consent, events and messages. The values it saw are kept on
    the timeline, so that the decision can be explained later.
    """

    kind = "if_else"
    label = "If / else"
    group = "paths"
    icon = "split"
    keywords = "condition branch decision yes no filter check segment question"
    example = {"rule": {"field": "lifecycle_stage", "operator": "=", "value": "customer"}}
    ready = (
        Ready(
            "opened",
            "Did they open it?",
            "Checks whether the previous message was opened.",
            {"rule": {"combinator": "and", "rules": [{"message": "opened", "node": LAST_MESSAGE}]}},
            "engagement reaction read email",
        ),
        Ready(
            "clicked",
            "Did they click it?",
            "Checks whether a link in the previous message was clicked.",
            {"rule": {"combinator": "and", "rules": [{"message": "clicked", "node": LAST_MESSAGE}]}},
            "engagement reaction link email",
        ),
    )

    rule: Rule = Field(title="If", json_schema_extra={"widget": "rule"})

    def outlets(self) -> tuple[str, ...]:
        return ("yes", "no")

    def enter(self, ctx: Context) -> Answer:
        outlet = "yes" if holds(self.rule, ctx.facts, ctx.as_of) else "no"
        return Leave(outlet=outlet, note={"rule": explain(self.rule, ctx.facts, ctx.as_of)})

    def rules(self) -> Iterable[tuple[str, Rule]]:
        yield "rule", self.rule
