from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from journeys import values
from journeys.errors import Issue, Unfilled
from journeys.nodes.node import LAST_MESSAGE, Node, Ready
from journeys.results import Results
from journeys.rules import Rule, explain, holds
from journeys.types import EventName, Part, Span
from journeys.values import Answer, Branch, Context, Leave, Occurred, Outcome

TIMED_OUT = "timed_out"
OutletName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class WaitBranch(Part):
    """One thing to wait for: an event, or a rule that becomes true."""

    name: OutletName = Field(title="Outlet", description="Name of this outlet: lower-case letters, digits, - and _.")
    event: EventName | None = Field(None, title="Event", json_schema_extra={"widget": "event", "names": "event"})
    where: Rule | None = Field(None, title="Only if", description="A rule on the event's properties.", json_schema_extra={"widget": "rule"})
    rule: Rule | None = Field(None, title="Rule", description="Instead of an event.", json_schema_extra={"widget": "rule"})

    @model_validator(mode="after")
    def _event_or_rule(self) -> Self:
        if self.event is None and self.rule is None:
            raise Unfilled("“{field}” is still empty: name an event, or write a rule instead.", "event", field="Event")
        if self.event is not None and self.rule is not None:
            raise ValueError("A branch waits either for an event or for a rule.")
        if self.where is not None and self.event is None:
            raise ValueError("Only an event has properties to ask about.")
        return self


class WaitFor(Node):
    """Waits until the contact does something, or until time is up.

    The first branch that happens decides. An event counts if it arrives after the contact reached this step and
    before the deadline. A branch with a rule is taken right away if the rule is already true; of several, the topmost
    one.
    """

    kind = "wait_for"
    label = "Wait for event"
    group = "time"
    icon = "hourglass"
    keywords = "delay until event reaction reply purchase opened clicked trigger timeout"
    example = {"branches": [{"name": "bought", "event": "Order Completed"}], "timeout": "P3D"}
    fresh = {"branches": [{"name": "happened"}]}
    ready = (
        Ready(
            "opened",
            "Wait until opened or clicked",
            "Waits until the previous message is opened or clicked, or until time is up.",
            {
                "branches": [
                    {
                        "name": "opened",
                        "rule": {
                            "combinator": "or",
                            "rules": [{"message": "opened", "node": LAST_MESSAGE}, {"message": "clicked", "node": LAST_MESSAGE}],
                        },
                    }
                ]
            },
            "delay engagement reaction read email",
        ),
    )

    branches: tuple[WaitBranch, ...] = Field(title="Wait for", min_length=1, max_length=20)
    timeout: Annotated[
        Span, Field(gt=timedelta(0), title="At most", description="After this time the contact leaves through *time is up*.")
    ]

    def outlets(self) -> tuple[str, ...]:
        return (*(branch.name for branch in self.branches), TIMED_OUT)

    def enter(self, ctx: Context) -> Answer:
        for branch in self.branches:
            if branch.rule is not None and holds(branch.rule, ctx.facts, ctx.as_of):
                return Leave(outlet=branch.name, note={"branch": branch.name, "rule": explain(branch.rule, ctx.facts, ctx.as_of)})
        branches = tuple(Branch(name=b.name, event=b.event, where=b.where, rule=b.rule) for b in self.branches)
        return values.WaitFor(branches=branches, deadline=ctx.entered_at + self.timeout)

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Occurred):
            return Leave(outlet=TIMED_OUT)
        note = {"branch": outcome.branch}
        if outcome.event is None:
            return Leave(outlet=outcome.branch, note=note)
        seen = {"event": outcome.event.name, "event_id": outcome.event.id}
        return Leave(outlet=outcome.branch, note=note | seen, remember=seen)

    def results(self) -> Results:
        return {"event": "string", "event_id": "number"}

    def event_behind(self, outlet: str) -> str | None:
        return next((branch.event for branch in self.branches if branch.name == outlet), None)

    def minimum_wait_through(self, outlet: str) -> timedelta:
        return self.timeout if outlet == TIMED_OUT else timedelta(0)

    def rules(self) -> Iterable[tuple[str, Rule]]:
        for i, branch in enumerate(self.branches):
            if branch.rule is not None:
                yield f"branches.{i}.rule", branch.rule

    def event_rules(self) -> Iterable[tuple[str, str, Rule]]:
        for i, branch in enumerate(self.branches):
            if branch.event is not None and branch.where is not None:
                yield f"branches.{i}.where", branch.event, branch.where

    def references(self) -> Iterable[tuple[str, str, str]]:
        for i, branch in enumerate(self.branches):
            if branch.event is not None:
                yield f"branches.{i}.event", "event", branch.event

    def problems(self, node_id: str) -> Iterable[Issue]:
        if any(branch.name == TIMED_OUT for branch in self.branches):
            text = "A branch cannot be called “{name}”: that outlet is for the time-out."
            yield Issue(code="outlet_reserved", text=text, values={"name": TIMED_OUT}, node_id=node_id, field="branches")
