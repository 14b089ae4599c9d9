"""`advance`: walks a run from where it is to where it blocks next. Pure: the same arguments give the same answer.

The simulator calls it with a virtual clock, the step of a run inside its transaction. It decides from the database's facts
and `as_of` alone, never from what woke it: a wake-up that is too early gets the same wait again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine.interpreter.overlay import Overlay
from engine.interpreter.state import State
from journeys.changes import Change
from journeys.clock import zone_of
from journeys.compile import Program
from journeys.document import Exit
from journeys.rules import explain, holds, matches, next_flip, topics
from journeys.rules.facts import Facts
from journeys.runkeys import is_of_run
from journeys.values import (
    Branch,
    Context,
    Do,
    End,
    Leave,
    Occurred,
    Outcome,
    Performed,
    Reached,
    Received,
    RunInfo,
    TimedOut,
    WaitFor,
    WaitUntil,
)

MAX_WALK = 1_000
"""Nodes one walk may pass; a program that needs more goes round without waiting."""
MAX_VISITS = 1_000
"""Arrivals at one node in one run."""
LEAST_WAIT = timedelta(seconds=1)
"""A rule that could flip at once is looked at again after this, so that a wait never spins."""


class RunawayError(RuntimeError):
    """The walk passed `MAX_WALK` nodes or a node was visited more than `MAX_VISITS` times."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the trail: what happened at which node, and why."""

    node: str
    what: str
    outlet: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advanced:
    """Where the walk led. `answer` is what the run is blocked on now, or its `End`.

    `wake_at`: when to look again (None: only when something happens). `foretold`: the channel that is called right after a
    plain wait, with no decision between. `listen`: topics whose events wake the run. `moved` False: nothing changed, wait on.
    `exited`: the end came from an exit rule or event, not from walking on.
    """

    state: State
    answer: Do | WaitUntil | WaitFor | End
    wake_at: datetime | None = None
    foretold: str | None = None
    changes: tuple[Change, ...] = ()
    trail: tuple[Note, ...] = ()
    listen: frozenset[str] = frozenset()
    moved: bool = True
    exited: bool = False


def advance(
    program: Program,
    facts: Facts,
    state: State,
    run: RunInfo,
    as_of: datetime,
    received: Sequence[Received] = (),
    performed: Performed | None = None,
) -> Advanced:
    """Walks from `state` until a node blocks or the run ends.

    `received` are the events that reached the run since its last step, in order of arrival; `performed` is the result of the call
    it is blocked on. A fresh `State()` starts at the program's first node.

    Raises: RunawayError; whatever a node raises (the caller marks the run stuck).
    """
    return _Walk(program, facts, state, run, as_of).go(received, performed)


def exit_topics(program: Program) -> frozenset[str]:
    """What a run listens for as long as it lives."""
    events = {f"event:{exit_.event}" for exit_ in program.exit_when if exit_.event}
    if program.goal and program.goal.ends_run:
        events.add(f"event:{program.goal.event}")
    return frozenset(events).union(*(topics(exit_.rule) for exit_ in program.exit_when if exit_.rule is not None))


class _Walk:
    """One call of `advance`: the arguments, and what has piled up so far."""

    def __init__(self, program: Program, facts: Facts, state: State, run: RunInfo, as_of: datetime) -> None:
        self.program = program
        self.facts = facts if isinstance(facts, Overlay) else Overlay(facts)
        self.facts.nodes, self.facts.memory = program.nodes, state.memory
        self.state = state
        self.run = run
        self.as_of = as_of
        self.changes: list[Change] = []
        self.trail: list[Note] = []

    def go(self, received: Sequence[Received], performed: Performed | None) -> Advanced:
        if exited := self._exit(received):
            return self._end(exited, exited=True)
        if self.state.blocked is None:
            return self._begin()
        outcome = self._outcome(self.state.blocked, received, performed)
        if outcome is None:
            return self._block(self.state.blocked, moved=False)
        node = self.program.nodes[self.state.node]
        if isinstance(outcome, Performed):
            self._note("performed", outlet=outcome.outlet, detail=outcome.data)
        elif isinstance(outcome, Occurred) and outcome.event is not None:
            self._note("heard", detail={"branch": outcome.branch, "event": outcome.event.name, "event_id": outcome.event.id})
        return self._follow(node.resume(self._context(), outcome))

    # --- walking ---------------------------------------------------------------------------------------------------

    def _begin(self) -> Advanced:
        go_to = self.state.go_to
        since = self.state.entered_at if go_to == self.state.node else None
        moved = since is not None and go_to in self.state.visits
        return self._follow(self._arrive(go_to or self.program.start, since, moved=moved))

    def _arrive(self, node_id: str, since: datetime | None = None, *, moved: bool = False) -> Any:
        """`moved`: another version took the run over where it stood, so that nobody enters the step a second time."""
        self.state = self.state.at(node_id, since or self.as_of)
        if self.state.visit > MAX_VISITS:
            raise RunawayError(f"expected at most {MAX_VISITS} visits of node {node_id}")
        self._note("placed" if moved else "entered")
        return self.program.nodes[node_id].enter(self._context())

    def _follow(self, answer: Any) -> Advanced:
        """Walks on while nodes are left at once."""
        for _ in range(MAX_WALK):
            if isinstance(answer, End):
                return self._end(answer.reason)
            if not isinstance(answer, Leave):
                return self._block(answer, moved=True)
            self._leave(answer)
            if answer.changes and (exited := self._exit(())):
                return self._end(exited, exited=True)
            answer = self._arrive(self._next(answer.outlet))
        raise RunawayError(f"expected a wait within {MAX_WALK} nodes, got none up to {self.state.node}")

    def _leave(self, answer: Leave) -> None:
        self.facts.apply(answer.changes)
        self.changes.extend(answer.changes)
        if answer.remember:
            self.state = replace(self.state, memory={**self.state.memory, self.state.node: answer.remember})
            self.facts.memory = self.state.memory
        self._note("left", outlet=answer.outlet, detail=answer.note)

    def _next(self, outlet: str) -> str:
        try:
            return self.program.next[self.state.node, outlet]
        except KeyError:
            raise LookupError(f"expected an edge from {self.state.node} for outlet {outlet!r}, got none") from None

    def _end(self, reason: str, *, exited: bool = False) -> Advanced:
        self._note("ended", detail={"reason": reason})
        state = replace(self.state, blocked=None)
        return Advanced(state, End(reason=reason), changes=tuple(self.changes), trail=tuple(self.trail), exited=exited)

    # --- blocking --------------------------------------------------------------------------------------------------

    def _block(self, answer: Do | WaitUntil | WaitFor, *, moved: bool) -> Advanced:
        if moved:
            self._note("calling" if isinstance(answer, Do) else "waiting", detail=_blocked_detail(answer))
        wake_at = self._wake_at(answer)
        return Advanced(
            state=replace(self.state, blocked=answer),
            answer=answer,
            wake_at=wake_at,
            foretold=self._foretold(answer, wake_at),
            changes=tuple(self.changes),
            trail=tuple(self.trail),
            listen=wait_topics(answer),
            moved=moved,
        )

    def _wake_at(self, answer: Do | WaitUntil | WaitFor) -> datetime | None:
        """The first instant at which looking again can make a difference without any new event."""
        if isinstance(answer, Do):
            return None
        rules = [exit_.rule for exit_ in self.program.exit_when if exit_.rule is not None]
        if isinstance(answer, WaitFor):
            rules += [branch.rule for branch in answer.branches if branch.rule is not None]
        flips = [flip for rule in rules if (flip := next_flip(rule, self.facts, self.as_of)) is not None]
        ends = answer.at if isinstance(answer, WaitUntil) else answer.deadline
        soonest = min([max(flip, self.as_of + LEAST_WAIT) for flip in flips], default=None)
        return min([at for at in (ends, soonest) if at is not None], default=None)

    def _foretold(self, answer: Do | WaitUntil | WaitFor, wake_at: datetime | None) -> str | None:
        """A call can be foretold when the wait surely ends at `wake_at` and one way leads straight to it."""
        if isinstance(answer, WaitUntil) and wake_at == answer.at:
            return self.program.effect_after(self.state.node)
        return None

    # --- deciding --------------------------------------------------------------------------------------------------

    def _outcome(self, blocked: Do | WaitUntil | WaitFor, received: Sequence[Received], performed: Performed | None) -> Outcome | None:
        if isinstance(blocked, Do):
            return performed
        if isinstance(blocked, WaitUntil):
            return Reached() if self.as_of >= blocked.at else None
        return self._first_branch(blocked, received) or self._timed_out(blocked)

    def _first_branch(self, wait: WaitFor, received: Sequence[Received]) -> Occurred | None:
        """The earliest event that arrived by the deadline; then any rule that holds now.

        That it arrived after the node was entered is sure: `received` is what came since the step that entered it.
        """
        for event in sorted(received, key=lambda e: (e.arrived_at, e.id)):
            if wait.deadline is not None and event.arrived_at > wait.deadline:
                continue
            for branch in wait.branches:
                if branch.event == event.name and self._fits(branch, event):
                    return Occurred(branch=branch.name, event=event)
        if wait.deadline is not None and self.as_of > wait.deadline:
            return None
        for branch in wait.branches:
            if branch.rule is not None and holds(branch.rule, self.facts, self.as_of):
                return Occurred(branch=branch.name)
        return None

    def _fits(self, branch: Branch, event: Received) -> bool:
        return branch.where is None or matches(branch.where, event, self.as_of)

    def _timed_out(self, wait: WaitFor) -> TimedOut | None:
        return TimedOut() if wait.deadline is not None and self.as_of >= wait.deadline else None

    def _exit(self, received: Sequence[Received]) -> str | None:
        """Why the run ends now, or None. Events count from the run's start, however late they arrive."""
        for event in received:
            if event.occurred_at >= self.run.started_at and (reason := self._exit_by(event)):
                self._note("exited", detail={"event": event.name, "event_id": event.id})
                return reason
        for exit_ in self.program.exit_when:
            if exit_.rule is not None and holds(exit_.rule, self.facts, self.as_of):
                self._note("exited", detail={"rule": explain(exit_.rule, self.facts, self.as_of)})
                return "exit"
        return None

    def _exit_by(self, event: Received) -> str | None:
        if any(self._exits_on(exit_, event) for exit_ in self.program.exit_when):
            return "exit"
        goal = self.program.goal
        if goal and goal.ends_run and goal.event == event.name and (goal.where is None or matches(goal.where, event, self.as_of)):
            return "goal"
        return None

    def _exits_on(self, exit_: Exit, event: Received) -> bool:
        if exit_.event != event.name or exit_.rule is not None:
            return False
        if exit_.match_key and not is_of_run(exit_.match_key, self.run.key, self.run.trigger, event.properties):
            return False
        return exit_.where is None or matches(exit_.where, event, self.as_of)

    # --- odds and ends ---------------------------------------------------------------------------------------------

    def _context(self) -> Context:
        settings = self.program.settings
        return Context(
            facts=self.facts,
            as_of=self.as_of,
            run=self.run,
            node_id=self.state.node,
            visit=self.state.visit,
            entered_at=self.state.entered_at or self.as_of,
            zone=zone_of(self.facts.value("timezone"), settings.timezone),
            spread_seconds=int(settings.spread.total_seconds()),
            memory=self.state.memory,
        )

    def _note(self, what: str, *, outlet: str = "", detail: dict[str, Any] | None = None) -> None:
        self.trail.append(Note(self.state.node, what, outlet, detail or {}))


def _blocked_detail(answer: Do | WaitUntil | WaitFor) -> dict[str, Any]:
    if isinstance(answer, Do):
        return {"channel": answer.call.channel}
    if isinstance(answer, WaitUntil):
        return {"until": answer.at.isoformat(), **answer.note}
    until = answer.deadline.isoformat() if answer.deadline else None
    return {"until": until, "branches": [branch.name for branch in answer.branches]}


def wait_topics(answer: Do | WaitUntil | WaitFor | None) -> frozenset[str]:
    """What a run listens for while it waits on `answer`."""
    if not isinstance(answer, WaitFor):
        return frozenset()
    events = {f"event:{branch.event}" for branch in answer.branches if branch.event}
    return frozenset(events).union(*(topics(branch.rule) for branch in answer.branches if branch.rule is not None))
