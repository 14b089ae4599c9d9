"""The shape of a run's timeline: one model for each kind of line, told apart by `what`, and what stands around the lines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.runs.trail import KINDS


class Line(BaseModel):
    """What all lines have. `step` and `seq` are their order; lines from 1,000 on stand between two steps."""

    step: int
    seq: int
    at: datetime
    node: str = Field(description="The step of the journey; empty: none.")
    outlet: str


class Detail(BaseModel):
    """What a step or a kind of it adds stands beside what is named here. Empty after the contact was erased: then each says its default."""

    model_config = ConfigDict(extra="allow")


class Counted(Detail):
    """What repeats counts up: `count`, and `last` beside the line's own time."""

    reason: str = ""
    count: int = 1
    last: datetime | None = None


class Waits(Detail):
    until: datetime | None = None
    branches: list[str] = Field([], description="What it waits for; empty: for the instant alone.")


class Heard(Detail):
    branch: str = ""
    event: str = ""
    event_id: int | None = None


class Calls(Detail):
    channel: str = ""


class Exits(Detail):
    event: str | None = None
    event_id: int | None = None
    rule: list[dict[str, Any]] | None = Field(None, description="Each question with its answer.")


class Reason(Detail):
    reason: str = ""


class Resumes(Counted):
    by: str = Field("", description="Who let it go on; empty: nobody by name, `reason` says why.")


class ByHand(Counted):
    by: str = ""


class Moves(Detail):
    from_version: int | None = Field(None, alias="from")
    to: int | None = None
    node: str = ""


class MovesBack(Detail):
    node: str = ""


class OtherContact(Detail):
    """`contact`: the id of the other one."""

    contact: str = ""


class Entered(Line):
    what: Literal["entered"]
    detail: Detail


class Placed(Line):
    what: Literal["placed"]
    detail: Detail


class Waiting(Line):
    what: Literal["waiting"]
    detail: Waits


class HeardLine(Line):
    what: Literal["heard"]
    detail: Heard


class Calling(Line):
    what: Literal["calling"]
    detail: Calls


class PerformedLine(Line):
    """`detail` is what the call answered, as later steps can use it."""

    what: Literal["performed"]
    detail: Detail


class Left(Line):
    """`detail` says what decided: `rule` or `cases` with their answers, or what the step noted."""

    what: Literal["left"]
    detail: Detail


class Exited(Line):
    what: Literal["exited"]
    detail: Exits


class Ended(Line):
    what: Literal["ended"]
    detail: Reason


class Attempt(Line):
    what: Literal["attempt"]
    detail: Counted


class Held(Line):
    what: Literal["held"]
    detail: Counted


class Stuck(Line):
    what: Literal["stuck"]
    detail: Counted


class Quarantined(Line):
    what: Literal["quarantined"]
    detail: Counted


class Resumed(Line):
    what: Literal["resumed"]
    detail: Resumes


class Skipped(Line):
    what: Literal["skipped"]
    detail: ByHand


class TakenOut(Line):
    what: Literal["taken_out"]
    detail: ByHand


class Migrated(Line):
    what: Literal["migrated"]
    detail: Moves


class MigratedBack(Line):
    what: Literal["migrated_back"]
    detail: MovesBack


class MergedLine(Line):
    what: Literal["merged"]
    detail: OtherContact


class PartedLine(Line):
    what: Literal["parted"]
    detail: OtherContact


TrailLine = Annotated[
    Entered
    | Placed
    | Waiting
    | HeardLine
    | Calling
    | PerformedLine
    | Left
    | Exited
    | Ended
    | Attempt
    | Held
    | Stuck
    | Quarantined
    | Resumed
    | Skipped
    | TakenOut
    | Migrated
    | MigratedBack
    | MergedLine
    | PartedLine,
    Field(discriminator="what", description="; ".join(f"`{kind}`: {text}" for kind, text in KINDS.items())),
]


class RunRow(BaseModel):
    """A run as lists show it. `due_at`: when it goes on by itself; null: only when something happens."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    journey_id: str
    version_number: int
    contact_id: str
    run_key: str
    status: Literal["active", "held", "stuck", "quarantined", "ended", "held_out"]
    node: str
    node_entered_at: datetime | None
    due_at: datetime | None
    reason: str
    error: str
    started_at: datetime
    ended_at: datetime | None
    goal_at: datetime | None
    goal_value: float | None
    goal_event_id: int | None
    step: int


class Then(BaseModel):
    """The call that follows."""

    activity: str
    queue: str
    timeout_seconds: float


class RunInstruction(BaseModel):
    """What the run's workflow does meanwhile; empty for one that never runs."""

    op: Literal["wait", "do", "end"] | None = None
    step: int | None = None
    until: datetime | None = None
    reason: str | None = None
    then: Then | None = None


class RunInFull(RunRow):
    """With what it came in with."""

    trigger: dict[str, Any] = Field(description="Properties of the event that started it.")
    instruction: RunInstruction


class RunJourney(BaseModel):
    id: str
    key: str
    name: str


class RunNode(BaseModel):
    kind: str
    name: str


class RunContact(BaseModel):
    id: str
    email: str | None


class RunMessage(BaseModel):
    """A message of the run. `instead_of` of a notice to the team is the member it was meant for, who is gone."""

    id: str
    node: str
    channel: str
    status: Literal["planned", "claimed", "held", "sent", "bounced", "failed", "skipped", "uncertain"]
    reason: str
    subject: str
    planned_at: datetime
    held_until: datetime | None
    sent_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    bounced_at: datetime | None
    body_id: str | None
    instead_of: str | None


class RunTask(BaseModel):
    """What the run gave somebody to do; `instead_of` is the member it was meant for, who is gone."""

    id: str
    node: str
    title: str
    owner: str | None
    state: Literal["open", "taken", "finished", "cancelled"]
    created_at: datetime
    instead_of: str | None


class RunHeard(BaseModel):
    """An event that reached the run; `consumed`: a step has read it."""

    id: int
    name: str
    occurred_at: datetime
    arrived_at: datetime
    consumed: bool


class RunNext(BaseModel):
    """What it waits for now."""

    status: str
    due_at: datetime | None
    node: str
    waits_for: list[str] | None = None
    calls: str | None = Field(None, description="The channel of the call that is being made.")


class RunStory(BaseModel):
    """One run with every step it took: decisions with their inputs and reasons, waits, messages, what it heard, what comes next."""

    run: RunInFull
    journey: RunJourney
    nodes: dict[str, RunNode] = Field(description="Node id -> kind and name, of the run's version.")
    contact: RunContact
    trail: list[TrailLine]
    messages: list[RunMessage]
    tasks: list[RunTask]
    heard: list[RunHeard]
    next: RunNext | None
