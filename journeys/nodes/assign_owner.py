from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys.changes import SetOwner
from journeys.nodes.node import Node
from journeys.types import Key
from journeys.values import Answer, Context, Leave


class AssignOwner(Node):
    """Assigns the contact to the next owner in a rotation.

    Absent members are skipped. If no one is available, the contact continues without a new owner, and the timeline
    says so.
    """

    kind = "assign_owner"
    label = "Assign owner"
    group = "contact"
    icon = "user-plus"
    keywords = "sales rep rotation round robin hand over lead"
    example = {"pool": "sales"}

    pool: Key = Field(title="Rotation", json_schema_extra={"widget": "pool", "names": "pool"})
    keep: bool = Field(True, title="Keep the current owner", description="Only contacts without an owner get one.")

    def enter(self, ctx: Context) -> Answer:
        if self.keep and ctx.facts.value("owner"):
            return Leave(outlet="next", note={"kept": True})
        owner = ctx.facts.next_owner(self.pool)
        if owner is None:
            return Leave(outlet="next", note={"nobody_present": self.pool})
        return Leave(outlet="next", changes=(SetOwner(owner=owner, pool=self.pool),), note={"owner": owner})

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "pool", "pool", self.pool
