from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys import changes
from journeys.nodes.node import Node
from journeys.types import Key
from journeys.values import Answer, Context, Leave


class ChangeScore(Node):
    """Adds points to one of the contact's scores, takes some away, or sets it."""

    kind = "change_score"
    label = "Change score"
    group = "contact"
    icon = "gauge"
    keywords = "lead scoring points rating"
    example = {"group": "engagement", "points": 10}

    group_key: Key = Field("engagement", alias="group", title="Score", json_schema_extra={"widget": "score_group", "names": "score"})
    points: float = Field(title="Points", description="May be negative.", ge=-100_000, le=100_000, allow_inf_nan=False)
    absolute: bool = Field(False, title="Set instead of add", description="Set the score to these points instead of adding them.")

    model_config = Node.model_config | {"populate_by_name": True, "serialize_by_alias": True}

    def enter(self, ctx: Context) -> Answer:
        reason = f"{ctx.run.journey}/{ctx.node_id}"
        change = changes.ChangeScore(group=self.group_key, points=self.points, absolute=self.absolute, reason=reason)
        return Leave(outlet="next", changes=(change,), note={"before": ctx.facts.score(self.group_key)})

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "group", "score", self.group_key
