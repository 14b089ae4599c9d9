"""The journey document: what a marketer edits, what git stores, what a version freezes.

It says nothing about node kinds: `nodes` maps an id to a raw object whose `kind` a palette knows
(`journeys.nodes.Palette`). That way a draft with a broken node is still a document, and `check` can list
every problem at once.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from journeys.rules import Rule
from journeys.triggers import AnyTrigger
from journeys.types import EventName, Key, NodeId, Part, Span

SPEC = 1
"""Format version of the document; `journeys.upgrade` lifts older ones."""

MAX_NODES = 2_000
MAX_EDGES = 4_000
MAX_DOCUMENT_BYTES = 2_000_000

PropertyPath = Annotated[str, Field(min_length=1, max_length=120)]
RunKey = Annotated[str, Field(max_length=120)] | Annotated[tuple[PropertyPath, ...], Field(min_length=1, max_length=10)]
"""A path into an event's properties, or a list of paths tried in order (`journeys.runkeys`)."""


class Reentry(Part):
    """`never`; `after_exit` (once the former run ended); `after_window` (`window` after the former start); `per_key` (one run per
    value of `key`, a path into the trigger's properties such as `cart_id`; any number in parallel). `key` may be a list of paths: the first that
    the trigger holds counts, and a trigger that holds none enters once the former run ended."""

    policy: Literal["never", "after_exit", "after_window", "per_key"] = Field("never", title="How often a contact may enter")
    window: Span | None = Field(None, title="Within", json_schema_extra={"only_if": {"policy": "after_window"}})
    key: RunKey | None = Field(
        None,
        title="Unique key",
        description="A property of the event, such as `cart_id`: one run for each of its values. "
        "You can list several, separated by commas; the first one the event has is used.",
        json_schema_extra={"widget": "paths", "only_if": {"policy": "per_key"}},
    )


class EntryCap(Part):
    """At most `count` entries in any `per`."""

    count: int = Field(title="At most", ge=1, le=10_000_000)
    per: Span = Field(title="In any period of")


class Entry(Part):
    """Who comes in: triggers joined by OR, a filter, the re-entry policy, a hold-out share and a cap."""

    triggers: tuple[AnyTrigger, ...] = Field((), title="Triggers", description="Any of these lets a contact in.", max_length=20)
    filter: Rule | None = Field(None, title="Only if", description="Checked when a contact enters.", json_schema_extra={"widget": "rule"})
    reentry: Reentry = Field(Reentry(), title="Re-entry")
    holdout_percent: float = Field(
        0,
        title="Control group in percent",
        description="This share is held out at random and counted, so that reports show the effect of the journey.",
        ge=0,
        le=50,
    )
    cap: EntryCap | None = Field(None, title="Entry limit")


class Exit(Part):
    """Ends a run at once, wherever it is: an event (with `where`; `match_key` compares the run key with this property of the event),
    or a rule that becomes true. `match_key` may be a list of paths: the first that the trigger and the event both hold decides, and an event that
    shares none of them with the trigger ends the run."""

    event: EventName | None = Field(None, title="Event", json_schema_extra={"widget": "event"})
    where: Rule | None = Field(None, title="Only if", json_schema_extra={"widget": "rule"})
    match_key: RunKey | None = Field(
        None,
        title="Same value of",
        description="Only if this property of the event equals the key of the run. You can list several, separated by commas; "
        "the first one that both events have decides. If they share none, the run ends.",
        json_schema_extra={"widget": "paths"},
    )
    rule: Rule | None = Field(None, title="Rule", json_schema_extra={"widget": "rule"})


class Goal(Part):
    """What the journey is for. Counted once a run when `event` occurs between the run's start and `window` later; `value` is a path
    into the event's properties (`total`)."""

    event: EventName = Field(title="Event", json_schema_extra={"widget": "event"})
    where: Rule | None = Field(None, title="Only if", json_schema_extra={"widget": "rule"})
    window: Span = Field(timedelta(days=30), title="Within")
    value: str | None = Field(
        None,
        title="Property with the value",
        description="A property of the event, such as `total`: the value of the conversion.",
        max_length=120,
        json_schema_extra={"widget": "property"},
    )
    ends_run: bool = Field(False, title="Reaching the goal ends the journey")


class QuietHours(Part):
    """No messages between `start` and `end` (contact's clock); may pass midnight."""

    start: str = Field("21:00", title="From", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field("08:00", title="Until", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


class Settings(Part):
    """What holds for all steps. `timezone` serves contacts whose zone is unknown."""

    timezone: str = Field("Europe/Zurich", title="Time zone", description="For contacts whose own time zone is unknown.")
    quiet_hours: QuietHours | None = Field(None, title="Quiet hours")
    message_class: Literal["marketing", "transactional"] = Field("marketing", title="Class")
    purpose: Key = Field("marketing", title="Consent purpose", json_schema_extra={"widget": "purpose", "names": "purpose"})
    cap_class: Key = Field("default", title="Frequency cap", json_schema_extra={"widget": "cap_class", "names": "cap_class"})
    priority: int = Field(3, title="Priority", description="1 is sent first if a frequency cap allows only one message.", ge=1, le=5)
    hold_at_most: Span = Field(timedelta(days=3), title="Hold messages for at most")
    spread: Span = Field(
        timedelta(minutes=5),
        title="Spread wake-ups over",
        description="So that contacts do not all get it in the same second.",
    )


class Edge(Part):
    """From an outlet of one node to another node. `from` is a Python keyword, hence the alias."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    source: NodeId = Field(alias="from")
    outlet: str = Field("next", min_length=1, max_length=64)
    to: NodeId


class Journey(BaseModel):
    """The document. `start` names the first node; `ui` (positions, notes) is not part of the digest."""

    model_config = ConfigDict(extra="forbid")

    spec: Literal[1] = 1
    key: Key
    name: str = Field(title="Name", min_length=1, max_length=120)
    description: str = Field("", title="Description", max_length=2_000, json_schema_extra={"widget": "text"})
    entry: Entry = Field(Entry(), title="Who enters")
    exit_when: tuple[Exit, ...] = Field((), title="Ends at once when", max_length=20)
    goal: Goal | None = Field(None, title="Goal")
    settings: Settings = Field(Settings(), title="Settings")
    start: NodeId | None = None
    nodes: dict[NodeId, dict[str, Any]] = Field({}, max_length=MAX_NODES)
    edges: tuple[Edge, ...] = Field((), max_length=MAX_EDGES)
    ui: dict[str, Any] = {}


def canonical(journey: Journey) -> str:
    """The document without `ui` as JSON text in one stable form: sorted keys, defaults written out, no blanks."""
    data = journey.model_dump(mode="json", by_alias=True, exclude={"ui"})
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(journey: Journey) -> str:
    """SHA-256 (hex) of the canonical JSON without `ui`: equal digests behave equally."""
    return hashlib.sha256(canonical(journey).encode()).hexdigest()


def pretty(journey: Journey) -> str:
    """The document as it stands in git: what the author set, sorted keys, two blanks, one line end at the end."""
    data = {"spec": journey.spec, **journey.model_dump(mode="json", by_alias=True, exclude_unset=True)}
    return json.dumps(data, sort_keys=True, ensure_ascii=False, indent=2) + "\n"
