"""The people who work here: members, rotations, tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field, new_id


class Member(SQLModel, table=True):
    """Somebody of the team. `absent_until` takes them out of rotations."""

    __tablename__ = "member"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    name: str = Field(max_length=120)
    email: str = Field(unique=True, max_length=320)
    role: str = Field(default="sales", max_length=16)
    """admin, marketer, engineer, tester, sales or viewer"""
    locale: str = Field(default="en", max_length=8)
    timezone: str = Field(default="Europe/Zurich", max_length=64)
    active: bool = True
    absent_until: datetime | None = None
    password_hash: str | None = Field(default=None, max_length=300)
    preferences: dict[str, Any] = json_field()
    """What the pages remember for this person: {"tour": "done"}"""
    created_at: datetime


class Rotation(SQLModel, table=True):
    """A pool of owners taken in turn; `turn` is the index of the next one."""

    __tablename__ = "rotation"

    pool: str = Field(primary_key=True, max_length=64)
    name: str = Field(max_length=120)
    members: list[str] = json_field(list)
    """Member ids in order."""
    turn: int = 0


class Task(SQLModel, table=True):
    """Something a person has to do. `state`: open, taken, finished, cancelled. `due_at` counts working hours."""

    __tablename__ = "task"
    __table_args__ = (
        Index("ix_task_owner", "owner", "state", "due_at"),
        Index("ix_task_state", "state", "due_at"),
        Index("ix_task_due", "due_at", sqlite_where=text("escalated_at IS NULL"), postgresql_where=text("escalated_at IS NULL")),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=160)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    run_id: str | None = Field(default=None, max_length=32)
    node: str = Field(default="", max_length=64)
    title: str = Field(max_length=200)
    description: str = Field(default="", max_length=4_000)
    owner: str | None = Field(default=None, max_length=32)
    priority: str = Field(default="normal", max_length=8)
    outcomes: list[str] = json_field(list)
    state: str = Field(default="open", max_length=16)
    outcome: str | None = Field(default=None, max_length=64)
    note: str = Field(default="", max_length=4_000)
    due_at: datetime | None = None
    escalate_to: str | None = Field(default=None, max_length=32)
    escalated_at: datetime | None = None
    created_at: datetime
    taken_at: datetime | None = None
    finished_at: datetime | None = None


CHANGED = "is_changed"
UNTOLD = "state IN ('waiting','claimed')"


class TaskNotice(SQLModel, table=True):
    """What a member is told of an open task in the team chat (real time). `what`: assigned or overdue. `state`: waiting, claimed (a call is being
    made), sent, failed, or uncertain. `next_at`: when it is tried, or how long the claim holds. `is_changed`: the task is not any more as it was
    told; `changes` counts how often. It goes once its task is over and the message says so."""

    __tablename__ = "task_notice"
    __table_args__ = (
        Index("ix_task_notice_untold", "next_at", sqlite_where=text(UNTOLD), postgresql_where=text(UNTOLD)),
        Index("ix_task_notice_changed", "next_at", sqlite_where=text(CHANGED), postgresql_where=text(CHANGED)),
        Index("ix_task_notice_task", "task_id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    task_id: str = Field(foreign_key="task.id", max_length=160)
    member_id: str = Field(max_length=32)
    what: str = Field(max_length=12)
    state: str = Field(default="waiting", max_length=12)
    attempts: int = 0
    next_at: datetime
    code: str = Field(default="", max_length=64)
    is_changed: bool = False
    changes: int = 0


class TaskChange(SQLModel, table=True):
    """What happened to a task, and who did it."""

    __tablename__ = "task_change"
    __table_args__ = (Index("ix_task_change_task", "task_id", "id"),)

    id: int | None = big_id()
    task_id: str = Field(foreign_key="task.id", max_length=160)
    what: str = Field(max_length=24)
    by: str = Field(default="", max_length=120)
    detail: dict[str, Any] = json_field()
    at: datetime
