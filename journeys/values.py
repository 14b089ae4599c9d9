"""The values nodes speak in: answers, outcomes and calls. Changes are in `journeys.changes`.

A node never blocks and never acts. It answers with a value; `engine.interpreter.advance` walks on from it. Everything here is
frozen and turns into JSON and back without loss (`pack`, `unpack`), because it is stored between two steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from journeys.changes import AnyChange
from journeys.rules import Rule
from journeys.rules.facts import Facts
from journeys.types import Value

# --- Answers of a node -----------------------------------------------------------------------------------------


class Call(Value):
    """An effect on the outside world, fully resolved except for what must be read at the last moment.

    `channel` picks the activity and its queue (`email`, `sms`, `team`, `webhook`, `custom:<name>@<version>`); `input` is JSON
    that the channel's performer understands; `outlets` are the answers the node can leave through.
    """

    channel: str
    input: dict[str, Any] = {}


class Branch(Value):
    """One way out of a `WaitFor`: an event (with a rule on its properties), or a rule that becomes true."""

    name: str
    event: str | None = None
    where: Rule | None = None
    rule: Rule | None = None


class Leave(Value):
    """Go on through `outlet`, after `changes`; `note` explains the decision on the timeline (small JSON, no personal data needed)."""

    answer: Literal["leave"] = "leave"
    outlet: str
    changes: tuple[AnyChange, ...] = ()
    note: dict[str, Any] = {}
    remember: dict[str, Any] = {}


class Do(Value):
    """Have `call` performed, then `resume` with `Performed`."""

    answer: Literal["do"] = "do"
    call: Call


class WaitUntil(Value):
    """Come back at `at` (aware UTC), then `resume` with `Reached`."""

    answer: Literal["wait_until"] = "wait_until"
    at: datetime
    note: dict[str, Any] = {}


class WaitFor(Value):
    """Come back at the first branch that happens (`Occurred`) or at `deadline` (`TimedOut`); earliest event first."""

    answer: Literal["wait_for"] = "wait_for"
    branches: tuple[Branch, ...]
    deadline: datetime | None = None


class End(Value):
    """The run is over."""

    answer: Literal["end"] = "end"
    reason: str


Answer = Leave | Do | WaitUntil | WaitFor | End
Blocked = Annotated[Do | WaitUntil | WaitFor, Field(discriminator="answer")]


# --- Outcomes a node is resumed with ----------------------------------------------------------------------------


class Received(Value):
    """An event that reached the run. `arrived_at` decides waits, `occurred_at` decides exits and goals. `context`: what conditions can ask of it."""

    id: int
    name: str
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    occurred_at: datetime
    arrived_at: datetime


class Reached(Value):
    """The instant of a `WaitUntil` came."""


class Occurred(Value):
    """A branch of a `WaitFor` happened; `event` is None when a rule became true."""

    branch: str
    event: Received | None = None


class TimedOut(Value):
    """The deadline of a `WaitFor` came first."""


class Performed(Value):
    """A call was performed; `outlet` is the way out, `data` what later nodes and templates may read."""

    outlet: str
    data: dict[str, Any] = {}


Outcome = Reached | Occurred | TimedOut | Performed


# --- What a node sees --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run a node works for. `trigger` holds the properties of the event that started it, `started_at` is when that happened."""

    id: str
    contact_id: str
    journey: str
    started_at: datetime
    key: str = ""
    trigger: Mapping[str, Any] = field(default_factory=dict)
    trigger_event: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a node may read. `memory` maps an earlier node's id to what it remembered (`Leave.remember`)."""

    facts: Facts
    as_of: datetime
    run: RunInfo
    node_id: str
    visit: int
    entered_at: datetime
    zone: tzinfo
    spread_seconds: int = 300
    memory: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def once_key(self) -> str:
        """Names this visit of this node in this run: `run:node:visit`."""
        return f"{self.run.id}:{self.node_id}:{self.visit}"


_blocked: TypeAdapter[Do | WaitUntil | WaitFor] = TypeAdapter(Blocked)


def pack(answer: Do | WaitUntil | WaitFor) -> dict[str, Any]:
    """The JSON form of a blocked answer."""
    return answer.model_dump(mode="json", exclude_defaults=False)


def unpack(data: Mapping[str, Any]) -> Do | WaitUntil | WaitFor:
    """The inverse of `pack`."""
    return _blocked.validate_python(data)
