from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys import changes
from journeys.nodes.node import Node
from journeys.nodes.update_contact import Copy, FieldName
from journeys.rules.types import Scalar
from journeys.types import Key
from journeys.values import Answer, Context, Leave


class StartJourney(Node):
    """Starts another journey for this contact; that journey must allow it with the trigger *From another journey*.

    The other journey's own entry rules decide whether the contact enters. `data` becomes its `trigger.…` values.
    """

    kind = "start_journey"
    label = "Start journey"
    group = "paths"
    icon = "play"
    keywords = "hand over continue subscribe add to flow enrol"
    example = {"journey": "welcome", "data": {"source": "webinar", "plan": {"from": "trigger.plan"}}}

    journey: Key = Field(title="Journey", json_schema_extra={"widget": "journey", "names": "journey"})
    data: dict[FieldName, Scalar | Copy] = Field({}, title="Data", max_length=50, json_schema_extra={"widget": "fields"})

    def enter(self, ctx: Context) -> Answer:
        data = {name: ctx.facts.value(value.source) if isinstance(value, Copy) else value for name, value in self.data.items()}
        return Leave(outlet="next", changes=(changes.StartJourney(id=ctx.once_key, journey=self.journey, data=data),))

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "journey", "journey", self.journey
        for name, value in self.data.items():
            if isinstance(value, Copy):
                yield f"data.{name}.from", "field", value.source
