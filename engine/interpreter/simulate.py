"""The simulator: one contact, one program, a virtual clock and a script. It walks with the same `advance` as a real run.

Nothing is sent and nothing is stored; what a call would answer comes from the script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from engine.interpreter.advance import Advanced, Note, advance, exit_topics
from engine.interpreter.gate import Hold, Limits, Refuse, Verdict, message_class
from engine.interpreter.overlay import Overlay
from engine.interpreter.simulated_gate import SimulatedGate
from engine.interpreter.state import State
from journeys.catalogue import SYSTEM_EVENTS
from journeys.changes import Change
from journeys.channels import SENDABLE
from journeys.compile import Program
from journeys.errors import Invalid, Issue
from journeys.graph import unknown_outlet
from journeys.rules import DictFacts, explain, holds, normalise_deep
from journeys.rules.facts import Calendar, Facts
from journeys.rules.fields import asked_context
from journeys.runkeys import run_key
from journeys.types import Span
from journeys.values import Call, Do, End, Performed, Received, RunInfo

MAX_STEPS = 10_000
RUN_ID = "simulated"
SuppressionReason = Literal["hard_bounce", "complaint", "unsubscribe", "manual", "import", "invalid", "objection"]
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""A start outside would run off the calendar with its history or its waits."""


class ScriptEvent(BaseModel):
    """Something that happens to the contact, `after` the start. `fields` are written to the contact with it."""

    model_config = ConfigDict(extra="forbid")

    after: Span
    name: str = Field(min_length=1, max_length=200)
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    fields: dict[str, Any] = {}


class ScriptTouch(BaseModel):
    """How the contact came, `ago` before the start."""

    model_config = ConfigDict(extra="forbid")

    ago: Span = timedelta(0)
    kind: str = Field("campaign", max_length=16)
    source_id: str | None = Field(None, max_length=64)
    utm_source: str | None = Field(None, max_length=200)
    utm_medium: str | None = Field(None, max_length=200)
    utm_campaign: str | None = Field(None, max_length=200)
    utm_term: str | None = Field(None, max_length=200)
    utm_content: str | None = Field(None, max_length=200)
    referrer: str | None = Field(None, max_length=500)
    landing_page: str | None = Field(None, max_length=500)


class Script(BaseModel):
    """A contact and what happens to it.

    `history` are events from before the start (their `after` counts back). `answers` maps a node id to the outlet its call leaves
    through (a list: one per visit, the last one stays); otherwise the first outlet, and for a message what the gate says: consents,
    address, `suppressions` (channel -> reasons), quiet hours and frequency caps. `results` maps a node id to what its call leaves for later steps, as `steps.<node>.<field>`.
    """

    model_config = ConfigDict(extra="forbid")

    contact_id: str = "simulated"
    """Draws (splits, spread, hold-out) hang on it."""
    contact: dict[str, Any] = {}
    tags: list[str] = []
    segments: list[str] = []
    consents: list[tuple[str, str, str] | tuple[str, str, str, Span]] = []
    """(channel, purpose, state), and how long before the start it was said; without that, at the start."""
    touches: dict[Literal["first", "last"], ScriptTouch] = {}
    scores: dict[str, float] = {}
    rotations: dict[str, list[str]] = {}
    start: AwareDatetime = Field(datetime(2026, 1, 5, 9, 0, tzinfo=UTC), ge=EARLIEST, lt=LATEST)
    trigger: dict[str, Any] = {}
    history: list[ScriptEvent] = Field([], max_length=1_000)
    events: list[ScriptEvent] = Field([], max_length=1_000)
    answers: dict[str, str | list[str]] = {}
    results: dict[str, dict[str, Any]] = {}
    suppressions: dict[str, list[SuppressionReason]] = {}
    until: Span = timedelta(days=1830)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the path: a note of the trail with its virtual instant."""

    at: datetime
    node: str
    what: str
    outlet: str
    detail: dict[str, Any]


@dataclass(slots=True)
class Path:
    """Where the contact went. `ended` is the reason, or None when it still waits (`waits_until` None: only for something to happen)."""

    entered: bool
    why: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    steps: int = 0
    ended: str | None = None
    ended_at: datetime | None = None
    waits_until: datetime | None = None

    def outlets(self) -> list[tuple[str, str]]:
        """(node, outlet) in the order in which they were left."""
        return [(line.node, line.outlet) for line in self.lines if line.what == "left"]

    def nodes(self) -> list[str]:
        """Node ids in the order in which they were entered."""
        return [line.node for line in self.lines if line.what == "entered"]


@dataclass(frozen=True, slots=True)
class Written:
    """How a message came out. `cannot`: why it cannot be written, empty if it can; `reply_window`: it is free text, which its channel takes only so
    long after the contact's last message there."""

    cannot: str = ""
    reply_window: timedelta | None = None


Fill = Callable[[Call, Mapping[str, Any], datetime | None, Facts], Written]
"""A message's call, what its template may read (`contact`, `trigger`, `run`, `steps`, `now`), when the contact last wrote on its
channel, and what its rules may ask."""


def always_fills(_call: Call, _values: Mapping[str, Any], _replied_at: datetime | None, _facts: Facts) -> Written:
    """Every message can be written, and leave at any time."""
    return Written()


def simulate(
    program: Program,
    script: Script,
    calendar: Calendar | None = None,
    limits: Limits | None = None,
    fill: Fill = always_fills,
    topics: Mapping[str, str] | None = None,
) -> Path:
    """The path of the script's contact through the program. `limits` are the workspace's quiet time and frequency caps; `fill` tries the
    templates, which live elsewhere, and without it every message can be written. `topics`: template -> what it is about.

    Raises:
        Invalid: the script answers for a step that is not there, or through an outlet that the step has not; lists every such place.
        whatever a node raises: in the engine the run would be stuck there.
    """
    if issues := [*_unfit_answers(program, script)]:
        raise Invalid("The scenario does not fit the journey: {problem}", issues, problem=issues[0])
    simulation = _Simulation(program, script, calendar, limits or Limits(), fill, topics or {})
    return simulation.run()


def _unfit_answers(program: Program, script: Script) -> Iterator[Issue]:
    for node_id in script.results.keys() - program.nodes.keys():
        yield Issue(code="unknown_node", text="There is no step “{name}”.", values={"name": node_id}, field=f"results.{node_id}")
    for node_id, answer in script.answers.items():
        place = f"answers.{node_id}"
        if node_id not in program.nodes:
            yield Issue(code="unknown_node", text="There is no step “{name}”.", values={"name": node_id}, field=place)
            continue
        outlets = program.nodes[node_id].outlets()
        for outlet in [answer] if isinstance(answer, str) else answer:
            if outlet not in outlets:
                text, values = unknown_outlet(outlet, outlets)
                yield Issue(code="unknown_outlet", text=text, values=values, node_id=node_id, field=place)


class _Simulation:
    def __init__(
        self, program: Program, script: Script, calendar: Calendar | None, limits: Limits, fill: Fill, topics: Mapping[str, str]
    ) -> None:
        self.program = program
        self.fill = fill
        self.script = script
        self.now = script.start
        self.number = 0
        self.listen = exit_topics(program)
        self._changed: frozenset[str] = frozenset()
        key = run_key(program.entry.reentry.key, script.trigger)
        self.info = RunInfo(RUN_ID, script.contact_id, program.key, script.start, key, normalise_deep(script.trigger))
        self.facts = DictFacts(
            script.contact,
            tags=script.tags,
            consents={(channel, purpose): state for channel, purpose, state, *_ in script.consents},
            scores=script.scores,
            events=[self._received(event, -1) for event in script.history],
            trigger=script.trigger,
            run_started_at=script.start,
            run_id=RUN_ID,
            calendar=calendar,
            rotations=script.rotations,
            segments=script.segments,
            consents_said_at={(said[0], said[1]): script.start - (said[3] if len(said) > 3 else timedelta(0)) for said in script.consents},
            touches={
                which: {**touch.model_dump(exclude={"ago"}), "at": script.start - touch.ago} for which, touch in script.touches.items()
            },
        )
        self.overlay = Overlay(self.facts)
        self.gate = SimulatedGate(program.settings, script.suppressions, limits, topics)
        self.coming = sorted(script.events, key=lambda event: event.after)
        self.path = Path(entered=True)

    def run(self) -> Path:
        if not self._enters():
            return self.path
        self.facts.add_event(self._own("Journey Entered", {}))
        state, received, performed = State(), list[Received](), None
        for _ in range(MAX_STEPS):
            advanced = advance(self.program, self.overlay, state, self.info, self.now, received, performed)
            self._take(advanced)
            if isinstance(advanced.answer, End):
                return self._finish(advanced.answer.reason)
            state, received, performed = advanced.state, [], None
            outcome = self._perform(advanced, advanced.answer) if isinstance(advanced.answer, Do) else None
            if isinstance(outcome, Performed):
                performed = outcome
                continue
            until, listen = (outcome.until, self.listen) if outcome else (advanced.wake_at, self.listen | advanced.listen)
            heard = self._sleep(until, listen)
            if heard is None:
                return self.path
            received = heard
        return self.path

    def _enters(self) -> bool:
        rule = self.program.entry.filter
        if rule is None or holds(rule, self.overlay, self.now):
            return True
        self.path.entered = False
        self.path.why = explain(rule, self.overlay, self.now)
        return False

    def _take(self, advanced: Advanced) -> None:
        self.path.steps += 1
        self.path.lines.extend(self._line(note) for note in advanced.trail)
        self.path.changes.extend(advanced.changes)

    def _line(self, note: Note) -> Line:
        return Line(self.now, note.node, note.what, note.outlet, note.detail)

    def _finish(self, reason: str) -> Path:
        self.path.ended, self.path.ended_at = reason, self.now
        return self.path

    def _perform(self, advanced: Advanced, answer: Do) -> Performed | Hold:
        """What the call answers, and the event that a message leaves behind; or until when the gate holds it."""
        node_id, visit, call = advanced.state.node, advanced.state.visit, answer.call
        scripted, reason = self._answer(node_id, visit), ""
        outlet = scripted or self.program.nodes[node_id].outlets()[0]
        if scripted is None and call.channel in SENDABLE:
            verdict = self._asked(advanced, call)
            if isinstance(verdict, Hold):
                return verdict
            if isinstance(verdict, Refuse):
                outlet, reason = "skipped", verdict.reason
        self.path.calls.append(
            {"at": self.now, "node": node_id, "channel": call.channel, "input": call.input, "outlet": outlet, "reason": reason}
        )
        if call.channel in SENDABLE and (name := FATES.get(outlet)):
            about = {
                "node": node_id,
                "template": call.input.get("template", ""),
                "channel": call.channel,
                "message_class": message_class(call.input, self.program.settings),
                "machine": False,
            }
            self.facts.add_event(self._own(name, about | ({"reason": reason} if reason else {})))
        return Performed(outlet=outlet, data=self.script.results.get(node_id, {}))

    def _asked(self, advanced: Advanced, call: Call) -> Verdict:
        """As a real send: first the message is written, then the gate is asked."""
        replied_at = self.gate.replied_at(self.overlay, call.channel, self.now)
        written = self.fill(call, self._values(advanced.state), replied_at, self.overlay)
        if written.cannot:
            return Refuse(written.cannot)
        message_id = f"{advanced.state.node}:{advanced.state.visit}"
        return self.gate.ask(self.overlay, call, message_id, self.now, written.reply_window)

    def _values(self, state: State) -> dict[str, Any]:
        return {
            "contact": {**self.facts.fields, **self.overlay.changed},
            "trigger": self.info.trigger,
            "run": {"id": RUN_ID, "journey": self.program.key, "started_at": self.script.start},
            "steps": state.memory,
            "now": self.now,
        }

    def _answer(self, node_id: str, visit: int) -> str | None:
        """The outlet that the script names for this visit."""
        answer = self.script.answers.get(node_id)
        if isinstance(answer, list):
            return answer[min(visit, len(answer)) - 1] if answer else None
        return answer

    def _sleep(self, wake_at: datetime | None, listen: frozenset[str]) -> list[Received] | None:
        """Moves the clock to whatever comes first: an event the run listens for, or `wake_at`. None: nothing more will come."""
        end = self.script.start + self.script.until
        for event in self._happening(wake_at, end):
            if f"event:{event.name}" in listen or self._changed & listen:
                return [event]
        if wake_at is None or wake_at > end:
            self.path.waits_until = wake_at
            return None
        self.now = max(self.now, wake_at)
        return []

    def _happening(self, wake_at: datetime | None, end: datetime) -> Iterator[Received]:
        """The script's events up to the wait's end, in order; each moves the clock and becomes a fact."""
        limit = min(wake_at, end) if wake_at else end
        while self.coming and self.script.start + self.coming[0].after <= limit:
            scripted = self.coming.pop(0)
            event = self._received(scripted, 1)
            self.now = max(self.now, event.occurred_at)
            self.facts.add_event(event)
            self.facts.fields.update(normalise_deep(scripted.fields))
            self._changed = frozenset(f"field:{name}" for name in scripted.fields)
            yield event

    def _received(self, event: ScriptEvent, sign: int) -> Received:
        at = self.script.start + sign * event.after
        return self._event(event.name, _of_run(event), at, event.context)

    def _own(self, name: str, properties: dict[str, Any]) -> Received:
        """An event that the server writes about this run."""
        return self._event(name, {"run_id": RUN_ID, "journey": self.program.key, **properties})

    def _event(
        self, name: str, properties: dict[str, Any], at: datetime | None = None, context: Mapping[str, Any] | None = None
    ) -> Received:
        self.number += 1
        at = at or self.now
        said, around = normalise_deep(properties), asked_context(normalise_deep(context or {}))
        return Received(id=self.number, name=name, properties=said, context=around, occurred_at=at, arrived_at=at)


FATES = {"sent": "Message Sent", "skipped": "Message Skipped"}
"""Outlet of a message's step -> the event that the contact's history shows for it."""
_MESSAGE_EVENTS = frozenset(name for name in SYSTEM_EVENTS if name.startswith("Message "))


def _of_run(event: ScriptEvent) -> dict[str, Any]:
    """What a message event carries besides the script's words: it belongs to this run, and a human did it."""
    if event.name not in _MESSAGE_EVENTS:
        return event.properties
    return {"run_id": RUN_ID, "machine": False, **event.properties}
