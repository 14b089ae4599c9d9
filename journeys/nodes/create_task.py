from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from journeys import changes
from journeys.errors import Issue
from journeys.nodes.node import Node, unread_places
from journeys.nodes.wait_for import OutletName
from journeys.placeholders import fields, fill
from journeys.results import Results
from journeys.types import Span
from journeys.values import Answer, Context, Leave
from journeys.worktime import add_working_time

OVERDUE = "overdue"


class CreateTask(Node):
    """Gives someone on the team a task for this contact.

    The task goes to the contact's owner unless you choose someone else. A time limit counts working time (nights,
    weekends and days off do not count); once overdue, the task goes to the person chosen for escalation. A later
    *Wait for task* can continue by outcome. If the chosen person has left the team, the task goes to the contact's
    owner or to an admin, and its history says so.
    """

    kind = "create_task"
    label = "Create task"
    group = "contact"
    icon = "clipboard-check"
    keywords = "to-do call sales reminder follow up activity"
    example = {"title": "Call {{ contact.first_name }}", "sla": "PT2H", "outcomes": ["won", "lost"], "escalate_to": "sales-lead"}

    title: str = Field(
        title="Title",
        description="Can contain values: {{ contact.company }}.",
        examples=["Call {{ contact.first_name }}"],
        min_length=1,
        max_length=200,
    )
    description: str = Field("", title="Description", max_length=4_000, json_schema_extra={"widget": "text"})
    owner: str | None = Field(
        None,
        title="Belongs to",
        description="The contact's owner when empty.",
        max_length=120,
        json_schema_extra={"widget": "user", "names": "member"},
    )
    sla: Annotated[Span, Field(gt=timedelta(0))] | None = Field(None, title="Due after", description="No time limit when empty.")
    working_time: bool = Field(True, title="Working hours only", description="Count only working hours towards the time limit.")
    outcomes: tuple[OutletName, ...] = Field(
        ("done",), title="Outcomes", description="Outcomes to choose from when finishing the task.", min_length=1, max_length=10
    )
    priority: Literal["low", "normal", "high"] = Field("normal", title="Priority")
    escalate_to: str | None = Field(
        None,
        title="Escalate to",
        description="Gets the task when it is overdue.",
        max_length=120,
        json_schema_extra={"widget": "user", "names": "member"},
    )

    def enter(self, ctx: Context) -> Answer:
        due_at = self._due_at(ctx)
        task = changes.CreateTask(
            id=ctx.once_key,
            title=fill(self.title, ctx.facts),
            description=fill(self.description, ctx.facts),
            owner=self.owner or _text(ctx.facts.value("owner")),
            due_at=due_at,
            outcomes=self.outcomes,
            priority=self.priority,
            escalate_to=self.escalate_to,
        )
        due = due_at.isoformat() if due_at else None
        note = {"task_id": task.id, "due_at": due}
        return Leave(outlet="next", changes=(task,), note=note, remember=note)

    def results(self) -> Results:
        return {"task_id": "string", "due_at": "datetime"}

    def _due_at(self, ctx: Context) -> datetime | None:
        if self.sla is None:
            return None
        return add_working_time(ctx.as_of, self.sla, ctx.facts.calendar()) if self.working_time else ctx.as_of + self.sla

    def references(self) -> Iterable[tuple[str, str, str]]:
        for place in ("title", "description"):
            for name in fields(getattr(self, place)):
                yield place, "field", name

    def problems(self, node_id: str) -> Iterable[Issue]:
        yield from unread_places(node_id, {"title": self.title, "description": self.description})
        if OVERDUE in self.outcomes:
            text = "An outcome cannot be called “{name}”: that stands for a missed time limit."
            yield Issue(code="outlet_reserved", text=text, values={"name": OVERDUE}, node_id=node_id, field="outcomes")
        if self.escalate_to is not None and self.sla is None:
            text = "Without a time limit, the task is never overdue and no one is notified."
            yield Issue(code="escalation_without_limit", text=text, node_id=node_id, field="escalate_to", severity="warning")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
