"""What people of the team have to do: list, take, finish with an outcome, give to somebody else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Limit, Page
from api.server import TheServer
from crm.sales import tasks
from engine.enrolment.routing import routed
from journeys.changes import CreateTask
from journeys.errors import Invalid
from models import Task, new_id

router = APIRouter(prefix="/api/v1", tags=["tasks"], route_class=JsonRoute)

TaskId = Annotated[
    str, Path(min_length=1, max_length=160, description="Id of the task.", examples=["019aa1b2c3d4e5f60718293a4b5c6d7e:call:1"])
]


class TaskRow(BaseModel):
    """Something a person has to do. `due_at` counts working hours."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    contact_id: str
    run_id: str | None
    node: str
    title: str
    description: str
    owner: str | None
    priority: str
    outcomes: list[str]
    state: str
    outcome: str | None
    note: str
    due_at: datetime | None
    escalate_to: str | None
    escalated_at: datetime | None
    created_at: datetime
    taken_at: datetime | None
    finished_at: datetime | None


class TaskStep(BaseModel):
    """What happened to a task, and who did it."""

    model_config = ConfigDict(from_attributes=True)

    what: str
    by: str
    detail: dict[str, Any]
    at: datetime


class TaskDetail(TaskRow):
    changes: list[TaskStep]


class NewTask(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"contact_id": "019aa1b2c3d4e5f60718293a4b5c6d7e", "title": "Call back", "outcomes": ["reached", "not reached"]}
        },
    )

    contact_id: str = Field(min_length=1, max_length=32)
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=4_000)
    owner: str | None = Field(None, max_length=32)
    due_at: AwareDatetime | None = None
    outcomes: list[str] = Field(["done"], min_length=1, max_length=20)
    priority: Literal["low", "normal", "high"] = "normal"


class Take(BaseModel):
    """Who takes it; empty: whoever is logged in. An admin key has to name a member."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {}})

    member_id: str | None = Field(None, max_length=32)


class Finish(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"outcome": "reached", "note": "Wants an offer"}})

    outcome: str = Field(min_length=1, max_length=64)
    note: str = Field("", max_length=4_000)


class Reassign(BaseModel):
    """The new owner; null: everybody's."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"owner": None}})

    owner: str | None = Field(max_length=32)


class Cancel(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "bought meanwhile"}})

    reason: str = Field("", max_length=200)


@router.get("/tasks", summary="List tasks", responses=ONE)
def list_tasks(
    server: TheServer,
    actor: Annotated[Actor, needs("task.read")],
    owner: Annotated[str | None, Query(max_length=32, description="Id of a member; `me` for whoever is logged in; `nobody`.")] = None,
    contact_id: Annotated[str | None, Query(max_length=32)] = None,
    state: Literal["open", "taken", "finished", "cancelled"] | None = None,
    overdue: Annotated[bool, Query(description="Only those whose time has passed.")] = False,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=160, description="`next` of the page before.")] = None,
) -> Page[TaskRow]:
    """Oldest first; every filter that is given must fit."""
    wanted = {"me": actor.member.id if actor.member else "", "nobody": ""}.get(owner, owner) if owner else None
    with server.engine.db.read() as session:
        page = tasks.list_tasks(
            session,
            server.engine.clock.now(),
            owner=wanted,
            contact_id=contact_id,
            state=state,
            only_overdue=overdue,
            after=cursor,
            limit=limit,
        )
        return Page(items=[TaskRow.model_validate(task) for task in page.tasks], next=page.next_after)


@router.post("/tasks", summary="Create a task", status_code=201, responses=CHANGE)
def create_task(new: NewTask, server: TheServer, actor: Annotated[Actor, needs("task.work")]) -> TaskRow:
    """A task that no journey made."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        change = CreateTask(
            id=new_id(),
            title=new.title,
            description=new.description,
            owner=new.owner,
            due_at=new.due_at,
            outcomes=tuple(new.outcomes),
            priority=new.priority,
        )
        task = tasks.create(session, change, contact_id=new.contact_id, now=now, by=actor.id)
        return TaskRow.model_validate(task)


@router.get("/tasks/{task_id}", summary="One task", responses=ONE)
def one_task(task_id: TaskId, server: TheServer, actor: Annotated[Actor, needs("task.read")]) -> TaskDetail:
    """With everything that happened to it."""
    with server.engine.db.read() as session:
        row = TaskRow.model_validate(tasks.get(session, task_id))
        steps = [TaskStep.model_validate(change) for change in tasks.changes(session, task_id)]
    return TaskDetail(**row.model_dump(), changes=steps)


@router.post("/tasks/{task_id}/take", summary="Take a task", responses=CHANGE)
def take_task(task_id: TaskId, take: Take, server: TheServer, actor: Annotated[Actor, needs("task.work")]) -> TaskRow:
    """409 if somebody else was first."""
    with server.engine.db.write() as session:
        return TaskRow.model_validate(tasks.take(session, task_id, _member(actor, take.member_id), server.engine.clock.now()))


@router.post("/tasks/{task_id}/finish", summary="Finish a task", responses=CHANGE)
def finish_task(task_id: TaskId, finish: Finish, server: TheServer, actor: Annotated[Actor, needs("task.work")]) -> TaskRow:
    """With one of its outcomes; a journey that waits for it goes on through that outlet."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        event = tasks.finish(session, task_id, finish.outcome, actor.id, now, finish.note)
        wakeups = routed(engine, session, [event], now)
        row = TaskRow.model_validate(tasks.get(session, task_id))
    server.wake(wakeups)
    return row


@router.post("/tasks/{task_id}/reassign", summary="Give a task to somebody else", responses=CHANGE)
def reassign_task(task_id: TaskId, reassign: Reassign, server: TheServer, actor: Annotated[Actor, needs("task.work")]) -> TaskRow:
    """It has to be taken again."""
    with server.engine.db.write() as session:
        task: Task = tasks.reassign(session, task_id, reassign.owner, actor.id, server.engine.clock.now())
        return TaskRow.model_validate(task)


@router.post("/tasks/{task_id}/cancel", summary="Cancel a task", responses=CHANGE)
def cancel_task(task_id: TaskId, cancel: Cancel, server: TheServer, actor: Annotated[Actor, needs("task.work")]) -> TaskRow:
    """Takes it off the list without an outcome."""
    with server.engine.db.write() as session:
        return TaskRow.model_validate(tasks.cancel(session, task_id, actor.id, server.engine.clock.now(), cancel.reason))


def _member(actor: Actor, named: str | None) -> str:
    member_id = named or (actor.member.id if actor.member else None)
    if member_id is None:
        raise Invalid("Expected member_id: an admin key does not belong to a member.")
    return member_id
