from __future__ import annotations

from pydantic import Field

from journeys.nodes.node import Node
from journeys.types import Key
from journeys.values import Answer, Context, End


class Exit(Node):
    """Ends the journey for this contact. Every path ends in an exit; give it a reason of its own to tell exits apart in
    reports."""

    kind = "exit"
    label = "Exit"
    group = "paths"
    icon = "flag"
    keywords = "end stop finish goal leave"
    example = {"reason": "completed"}

    reason: Key = Field("completed", title="Reason", description="Shown in reports; lower-case letters, digits, - and _.")

    def outlets(self) -> tuple[str, ...]:
        return ()

    def enter(self, ctx: Context) -> Answer:
        return End(reason=self.reason)
