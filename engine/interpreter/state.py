"""What a run remembers between two steps, and what its workflow is told to do meanwhile. JSON in, JSON out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from journeys.values import Do, WaitFor, WaitUntil, pack, unpack


class Effect(TypedDict):
    """An effect activity: its name, its queue, and how long one attempt may take."""

    activity: str
    queue: str
    timeout_seconds: float


class Instruction(TypedDict):
    """What the workflow does until it asks again. `step` is the number to ask with.

    `do`: run the effect `then`. `wait`: sleep until `until` (ISO text; None: only a wake-up wakes it), afterwards run `then` at once if it
    is there (a call foretold because no decision lies between), else ask. `in_line`: what it waits for may have gone since the call
    began, so a wake-up since then counts. `end`: return `reason`.
    """

    op: Literal["do", "wait", "end"]
    step: int
    then: NotRequired[Effect]
    until: NotRequired[str | None]
    in_line: NotRequired[bool]
    reason: NotRequired[str]


@dataclass(frozen=True, slots=True)
class State:
    """Where a run is. `blocked` is the answer it waits on; `visits` counts arrivals per node; `memory` holds what nodes remembered.
    `go_to` names the node to enter next when a person or a migration put the run there (already standing on it: since `entered_at`);
    else a run that is not blocked begins.
    """

    node: str = ""
    entered_at: datetime | None = None
    blocked: Do | WaitUntil | WaitFor | None = None
    visits: dict[str, int] = field(default_factory=dict)
    memory: dict[str, dict[str, Any]] = field(default_factory=dict)
    go_to: str | None = None

    def at(self, node: str, entered_at: datetime) -> State:
        """Arrived at `node`: one more visit, nothing waited on."""
        return replace(
            self, node=node, entered_at=entered_at, blocked=None, go_to=None, visits={**self.visits, node: self.visits.get(node, 0) + 1}
        )

    @property
    def visit(self) -> int:
        return self.visits.get(self.node, 0)

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "entered_at": self.entered_at.isoformat() if self.entered_at else None,
            "blocked": pack(self.blocked) if self.blocked else None,
            "visits": self.visits,
            "memory": self.memory,
            "go_to": self.go_to,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        entered_at = data.get("entered_at")
        return cls(
            node=data.get("node", ""),
            entered_at=datetime.fromisoformat(entered_at) if entered_at else None,
            blocked=unpack(data["blocked"]) if data.get("blocked") else None,
            visits=data.get("visits", {}),
            memory=data.get("memory", {}),
            go_to=data.get("go_to"),
        )
