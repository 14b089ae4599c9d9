"""What would happen at once to whoever enters or is moved: the first stretch of a walk, and what many of them come to together. Pure.

It walks with the same `advance` as a real run up to the first wait, and asks for each message whatever gate it is given. Nothing is sent
and nothing is stored. What an outside call would answer nobody knows: its first outlet is taken, as in the simulator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from engine.interpreter.advance import Advanced, advance
from engine.interpreter.gate import Hold, Refuse, Verdict, message_class
from engine.interpreter.overlay import Overlay
from engine.interpreter.state import State
from journeys.channels import SENDABLE
from journeys.compile import Program
from journeys.rules import DictFacts, EventTerm, FieldTerm, Group, SequenceTerm
from journeys.rules.aggregate import Aggregate, different
from journeys.rules.climbing import climb
from journeys.rules.facts import Calendar, Facts, Occurrences, Steps
from journeys.values import Call, Do, End, Performed, Received, RunInfo, WaitFor, WaitUntil

RUN_ID = "forecast"
"""Of a run that is not there yet."""
MOST_CALLS = 1_000
"""Calls of one walk; one that makes more goes round without waiting."""
NAMED = 10
"""Contacts that are named for each thing that happens."""
EVENTS = {"sent": "Message Sent", "skipped": "Message Skipped"}


class Foreseen:
    """`Facts` with the events on top that the walk itself brings about."""

    def __init__(self, beneath: Facts, run: RunInfo) -> None:
        self.beneath = beneath
        self._events = DictFacts({}, run_started_at=run.started_at, run_id=run.id)
        self._run, self._number = run, 0

    def happens(self, name: str, properties: dict[str, Any], at: datetime) -> None:
        self._number += 1
        about = {"run_id": self._run.id, "journey": self._run.journey, **properties}
        self._events.add_event(Received(id=self._number, name=name, properties=about, occurred_at=at, arrived_at=at))

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        before, own = self.beneath.occurrences(term, as_of), self._events.occurrences(term, as_of)
        if not before.count or not own.count:
            return own if own.count else before
        return Occurrences(
            before.count + own.count,
            before.oldest_at,
            own.newest_at,
            None if term.aggregate is None else self._value(term, term.aggregate, before, own, as_of),
            before.amounts + own.amounts,
        )

    def _value(self, term: EventTerm, asked: Aggregate, before: Occurrences, own: Occurrences, as_of: datetime) -> Any:
        """What a property comes to over what was and what the walk brings about, which is later."""
        if asked.of != "distinct":
            return asked.of_both(before, own)
        happened = [event for event in self._events.named([term.event]) if self._events.counts(event, term, as_of)]
        new = [value for value in different(asked.field, happened).values() if not self._had(term, asked.field, value, as_of)]
        return before.value + len(new)

    def _had(self, term: EventTerm, field: str, value: Any, as_of: datetime) -> bool:
        """Whether a property had a value before."""
        same = FieldTerm(field=field, operator="=", value=value)
        where = Group(rules=(same,) if term.where is None else (term.where, same))
        return self.beneath.occurrences(term.model_copy(update={"where": where, "aggregate": None}), as_of).count > 0

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        return climb(term, self._events.named(term.events), as_of, self.beneath.sequence(term, as_of))

    def value(self, name: str) -> Any:
        return self.beneath.value(name)

    def has_tag(self, tag: str) -> bool:
        return self.beneath.has_tag(tag)

    def in_segment(self, key: str) -> bool:
        return self.beneath.in_segment(key)

    def consent(self, channel: str, purpose: str) -> str | None:
        return self.beneath.consent(channel, purpose)

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        return self.beneath.consent_said_at(channel, purpose)

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Any] | None:
        return self.beneath.touch(which)

    def score(self, group: str) -> float:
        return self.beneath.score(group)

    def next_owner(self, pool: str) -> str | None:
        return self.beneath.next_owner(pool)

    def calendar(self) -> Calendar:
        return self.beneath.calendar()


@dataclass(frozen=True, slots=True)
class Due:
    """A message or another call that comes due at once. `outcome`: now, held (`until`) or skipped, with the gate's reason."""

    node: str
    channel: str
    outcome: str = "now"
    reason: str = ""
    until: datetime | None = None

    @property
    def is_message(self) -> bool:
        return self.channel in SENDABLE


@dataclass(frozen=True, slots=True)
class Course:
    """The first stretch of one walk. It stops at `node`: `ended` there (the reason), waiting (`until` None: only for something to happen), or
    `stuck` over an error of that name; `halted`: the journey is paused, so nothing is done before it goes on."""

    due: tuple[Due, ...] = ()
    node: str = ""
    until: datetime | None = None
    ended: str = ""
    stuck: str = ""
    halted: bool = False


Ask = Callable[[Call, State, Overlay], Verdict]
"""The gate for a message of this walk, at the state it is blocked in."""
Made = Callable[[State], Performed | Hold | None]
"""What another run has made of the call that the walk is blocked in; None: nothing."""
MADE = "sent_by_other_run"


def made_by_nobody(_state: State) -> None:
    """For a run that nobody else could have stood in for."""


def course(
    program: Program,
    facts: Foreseen,
    state: State,
    run: RunInfo,
    now: datetime,
    ask: Ask,
    received: Sequence[Received] = (),
    *,
    made: Made = made_by_nobody,
    paused: bool = False,
) -> Course:
    """Where the walk leads from `state` until it blocks on more than a call. In a paused journey exits act, and nothing else does."""
    overlay, due = Overlay(facts), list[Due]()
    performed: Performed | None = None
    for _ in range(MOST_CALLS):
        try:
            advanced = advance(program, overlay, state, run, now, received, performed)
        except Exception as error:  # noqa: BLE001 - as in a step: whatever a node raises leaves the run stuck
            return Course(tuple(due), state.node, stuck=type(error).__name__)
        if paused and advanced.moved and not advanced.exited:
            return Course(tuple(due), state.node, halted=True)
        if not isinstance(advanced.answer, Do):
            if advanced.wake_at is None or advanced.wake_at > now:
                return _stopped(tuple(due), advanced)
            state, received, performed = advanced.state, (), None  # its time had come before it began to wait
            continue
        already = made(advanced.state)
        one = _due(advanced, advanced.answer.call, overlay, ask, already)
        due.append(one)
        if one.outcome == "held":
            return Course(tuple(due), one.node, one.until)
        if isinstance(already, Performed):  # nothing happens to the contact, and the run goes on as after a call of its own
            performed = already
        else:
            performed = _answer(one, program)
            _remember(facts, one, advanced.answer.call, program, now)
        state, received = advanced.state, ()
    return Course(tuple(due), state.node, stuck="RunawayError")


def _stopped(due: tuple[Due, ...], advanced: Advanced) -> Course:
    answer, node = advanced.answer, advanced.state.node
    if isinstance(answer, End):
        return Course(due, node, ended=answer.reason)
    until = answer.at if isinstance(answer, WaitUntil) else answer.deadline if isinstance(answer, WaitFor) else None
    return Course(due, node, until)


def _due(advanced: Advanced, call: Call, overlay: Overlay, ask: Ask, already: Performed | Hold | None) -> Due:
    node = advanced.state.node
    if isinstance(already, Performed):
        return Due(node, call.channel, "skipped", MADE)
    verdict = already or (ask(call, advanced.state, overlay) if call.channel in SENDABLE else None)
    if isinstance(verdict, Hold):
        return Due(node, call.channel, "held", verdict.reason, verdict.until)
    if isinstance(verdict, Refuse):
        return Due(node, call.channel, "skipped", verdict.reason)
    return Due(node, call.channel)


def _answer(one: Due, program: Program) -> Performed:
    """As the engine would be answered, as far as anybody knows beforehand."""
    if not one.is_message:
        return Performed(outlet=program.nodes[one.node].outlets()[0])
    status = "sent" if one.outcome == "now" else one.outcome
    return Performed(outlet=status, data={"status": status, **({"reason": one.reason} if one.reason else {})})


def _remember(facts: Foreseen, one: Due, call: Call, program: Program, now: datetime) -> None:
    if not one.is_message:
        return
    name = EVENTS["sent" if one.outcome == "now" else one.outcome]
    about = {
        "node": one.node,
        "template": str(call.input.get("template", "")),
        "channel": one.channel,
        "message_class": message_class(call.input, program.settings),
        "machine": False,
    }
    facts.happens(name, about | ({"reason": one.reason} if one.reason else {}), now)


# What many come to


@dataclass(slots=True)
class Step:
    """What a message step comes to: how many leave `now`, by reason how many are `held` (and from when to when), and how many are `skipped`."""

    node: str
    channel: str
    now: int = 0
    held: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    first_until: datetime | None = None
    last_until: datetime | None = None

    def add(self, due: Due) -> None:
        if due.outcome == "now":
            self.now += 1
        elif due.outcome == "skipped":
            self.skipped[due.reason] += 1
        else:
            self.held[due.reason] += 1
            assert due.until is not None
            self.first_until = min(self.first_until or due.until, due.until)
            self.last_until = max(self.last_until or due.until, due.until)


@dataclass(slots=True)
class Forecast:
    """What would happen at once, counted over the `judged` of a `population`; `at_least`: nobody counted further.

    `begins`: how many enter, or are moved. `refused`: reason -> how many are not. `due_now`: contacts who get a message, or for whom a call is
    made, at once. `steps`: by node, messages. `calls`: by node, other calls. `waits`, `ended`, `stuck`, `halted`: where the others stop.
    `stopped`: provider accounts that accept nothing now, whatever would leave through them.
    `named`: what happens (`begins`, `refused:…`, `now:NODE`, `skipped:NODE:…`) -> the first contacts, ids.
    """

    population: int = 0
    at_least: bool = False
    judged: int = 0
    begins: int = 0
    held_out: int = 0
    due_now: int = 0
    halted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    steps: dict[str, Step] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    stuck: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether everybody was judged."""
        return self.judged >= self.population

    @property
    def scale(self) -> float:
        """How many each of the judged stands for; of a population that nobody counted to the end, for itself."""
        return self.population / self.judged if self.judged and not self.is_exact and not self.at_least else 1.0

    def refuse(self, contact_id: str, reason: str) -> None:
        self.judged += 1
        self.refused[reason] += 1
        self._name(contact_id, f"refused:{reason}")

    def hold_out(self, contact_id: str) -> None:
        """In the control group: it enters, and nothing happens to it."""
        self.judged += 1
        self.held_out += 1

    def begin(self, contact_id: str, one: Course) -> None:
        self.judged += 1
        self.begins += 1
        self._name(contact_id, "begins")
        self.due_now += any(due.outcome == "now" for due in one.due)
        for due in one.due:
            self._add(contact_id, due)
        if one.halted:
            self.halted += 1
        elif one.stuck:
            self.stuck[one.node] += 1
            self._name(contact_id, f"stuck:{one.node}")
        elif one.ended:
            self.ended[one.ended] += 1
            self._name(contact_id, f"ended:{one.ended}")
        elif not (one.due and one.due[-1].outcome == "held" and one.due[-1].is_message):  # which is said with the message
            self.waits[one.node] += 1

    def _add(self, contact_id: str, due: Due) -> None:
        if not due.is_message:
            self.calls.update([due.node] if due.outcome == "now" else [])
            return
        self.steps.setdefault(due.node, Step(due.node, due.channel)).add(due)
        self._name(contact_id, ":".join(part for part in (due.outcome, due.node, due.reason) if part))

    def _name(self, contact_id: str, what: str) -> None:
        named = self.named.setdefault(what, [])
        if len(named) < NAMED:
            named.append(contact_id)


_kept: TypeAdapter[Forecast] = TypeAdapter(Forecast)


def kept(found: Forecast) -> dict[str, Any]:
    """As JSON, without the contacts that are named: it outlives them."""
    as_json: dict[str, Any] = _kept.dump_python(replace(found, named={}), mode="json")
    return as_json


def read(kept: Mapping[str, Any]) -> Forecast:
    return _kept.validate_python(kept)


def ids_named(forecasts: Iterable[Forecast]) -> set[str]:
    """Everybody who is named in any of them."""
    return {id for one in forecasts for ids in one.named.values() for id in ids}
