from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from journeys.errors import Issue
from journeys.nodes.create_task import OVERDUE, CreateTask
from journeys.nodes.node import Node
from journeys.nodes.wait_for import OutletName
from journeys.results import Results
from journeys.rules import EventTerm, FieldTerm, holds
from journeys.rules import Group as RuleGroup
from journeys.types import NodeId, Span
from journeys.values import Answer, Branch, Context, Leave, Occurred, Outcome, WaitFor

TASK_FINISHED = "Task Finished"
_AHEAD = timedelta(days=1)
"""A step's instant is the one at which its attempt began. A finish that was stored meanwhile, or by a clock a little ahead, bears a later
one; it has happened before the wait is set up, so no event will come any more that could tell."""


class WaitForTask(Node):
    """Waits until the task of an earlier step is finished, and continues by its outcome.

    If the task's time limit passes first (or *at most*, if set), the contact leaves through *overdue*; the task stays
    open. If the task was finished before the contact got here, the contact continues right away.
    """

    kind = "wait_for_task"
    label = "Wait for task"
    group = "time"
    icon = "user-check"
    keywords = "delay until task done sales call outcome result"
    example = {"task": "call", "outcomes": ["won", "lost"], "timeout": "P2D"}

    task: NodeId = Field(
        title="Task", description="The step that creates it.", json_schema_extra={"widget": "node", "kind": "create_task", "names": "node"}
    )
    outcomes: tuple[OutletName, ...] = Field(("done",), title="Outcomes", description="As in that step.", min_length=1, max_length=10)
    timeout: Annotated[Span, Field(gt=timedelta(0))] | None = Field(None, title="At most", description="Until the task is due when empty.")

    def outlets(self) -> tuple[str, ...]:
        return (*self.outcomes, OVERDUE)

    def enter(self, ctx: Context) -> Answer:
        task_id = ctx.memory.get(self.task, {}).get("task_id")
        if not isinstance(task_id, str):
            return Leave(outlet=OVERDUE, note={"reason": "no_task"})
        for outcome in self.outcomes:
            if holds(EventTerm(event=TASK_FINISHED, where=_finished(task_id, outcome)), ctx.facts, ctx.as_of + _AHEAD):
                return Leave(outlet=outcome, note={"task_id": task_id}, remember={"outcome": outcome})
        deadline = self._deadline(ctx)
        if deadline is not None and deadline <= ctx.as_of:
            return Leave(outlet=OVERDUE, note={"task_id": task_id})
        branches = (Branch(name=outcome, event=TASK_FINISHED, where=_finished(task_id, outcome)) for outcome in self.outcomes)
        return WaitFor(branches=tuple(branches), deadline=deadline)

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        said = outcome.branch if isinstance(outcome, Occurred) else OVERDUE
        return Leave(outlet=said, remember={"outcome": said})

    def results(self) -> Results:
        return {"outcome": "string"}

    def _deadline(self, ctx: Context) -> datetime | None:
        if self.timeout is not None:
            return ctx.entered_at + self.timeout
        due_at = ctx.memory[self.task].get("due_at")
        return datetime.fromisoformat(due_at) if due_at else None

    def minimum_wait_through(self, outlet: str) -> timedelta:
        return self.timeout or timedelta(0) if outlet == OVERDUE else timedelta(0)

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "task", "node", self.task

    def problems_among(self, node_id: str, nodes: Mapping[str, Node]) -> Iterable[Issue]:
        task = nodes.get(self.task)
        if task is None:
            return
        if not isinstance(task, CreateTask):
            text = "The step “{task}” does not create a task."
            yield Issue(code="not_a_task", text=text, values={"task": self.task}, node_id=node_id, field="task")
            return
        for outcome in sorted({*task.outcomes} ^ {*self.outcomes}):
            text = "The outcome “{outcome}” exists in only one of the two steps."
            yield Issue(code="outcome_mismatch", text=text, values={"outcome": outcome}, node_id=node_id, field="outcomes")
        if task.sla is None and self.timeout is None:
            text = "The task has no time limit, so this step needs one."
            yield Issue(code="endless_wait", text=text, node_id=node_id, field="timeout")


def _finished(task_id: str, outcome: str) -> RuleGroup:
    return RuleGroup(
        rules=(FieldTerm(field="task_id", operator="=", value=task_id), FieldTerm(field="outcome", operator="=", value=outcome))
    )
