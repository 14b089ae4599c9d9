from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys import changes
from journeys.nodes.node import Node
from journeys.types import Key
from journeys.values import Answer, Context, Leave


class EndJourney(Node):
    """Ends another journey for this contact, wherever the contact is in it. This journey continues; to end it, add an exit."""

    kind = "end_journey"
    label = "End journey"
    group = "paths"
    icon = "square"
    keywords = "stop cancel remove from flow unenrol"
    example = {"journey": "cart_abandonment"}

    journey: Key = Field(title="Journey", json_schema_extra={"widget": "journey", "names": "journey"})

    def enter(self, ctx: Context) -> Answer:
        return Leave(outlet="next", changes=(changes.EndJourney(journey=self.journey),))

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "journey", "journey", self.journey
