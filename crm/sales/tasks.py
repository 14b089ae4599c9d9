"""What people of the team have to do: open -> taken -> finished or cancelled, with every change recorded.

Working hours are counted before (`due_at` comes in ready); assigning by rotation is in `workspace.members`. A finished or overdue task is an
event of its contact, so journeys can wait for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, func, literal, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.changes import CreateTask
from journeys.errors import Conflict, Invalid, NotFound
from models import Contact, Event, Member, Task, TaskChange, lock
from storage.events import append_event
from storage.json_values import clean_text
from storage.locks import lock_contact, lock_contacts, person_of
from storage.sql import table
from workspace import members, task_notices

OPEN = ("open", "taken")
_OVER = {"finished": "The task is finished already.", "cancelled": "The task was cancelled already."}
MAX_PAGE = 200
NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Where a task without a date stands in the order of dates."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """`next_after` goes into `after` of the next call; None when this is the last page."""

    tasks: list[Task]
    next_after: str | None


def create(
    session: Session, task: CreateTask, *, contact_id: str, now: datetime, run_id: str | None = None, node: str = "", by: str = "system"
) -> Task:
    """Creates the task `task.id`, or returns it as it is if it exists (`run:node:visit` names a task of a run).

    Raises:
        Invalid: no id, no title, or no outcome, or one twice.
        NotFound: no such contact.
    """
    title = clean_text(task.title).strip()[:200]
    outcomes = list(task.outcomes)
    if not title:
        raise Invalid("A task needs a title.")
    if not 0 < len(task.id) <= 160:
        raise Invalid("A task needs an id of at most 160 characters.")
    if not outcomes or len(set(outcomes)) != len(outcomes) or not all(0 < len(outcome) <= 64 for outcome in outcomes):
        raise Invalid("A task needs at least one outcome; each different, 1 to 64 characters.")
    contact_id = lock_contact(session, contact_id).id
    known = session.get(Task, task.id)
    if known is not None:
        return known
    owner = _in_the_team(session, task.owner, contact_id)
    row = Task(
        id=task.id,
        contact_id=contact_id,
        run_id=run_id,
        node=node,
        title=title,
        description=clean_text(task.description)[:4_000],
        owner=owner,
        priority=task.priority,
        outcomes=outcomes,
        due_at=task.due_at,
        escalate_to=task.escalate_to,
        created_at=now,
    )
    session.add(row)
    session.flush()
    _note(session, row, "created", by, now, owner=owner, instead_of=task.owner if owner != task.owner else None)
    if owner:
        task_notices.add(session, row.id, owner, "assigned", by)
    return row


def _in_the_team(session: Session, member_id: str | None, contact_id: str) -> str | None:
    """The member, if active; else the contact's owner, else an admin. None stays None: such a task is everybody's."""
    if member_id is None or members.is_active(session, member_id):
        return member_id
    owner = session.scalar(select(Contact.owner).where(Contact.id == contact_id))
    if owner and members.is_active(session, owner):
        return str(owner)
    return members.stand_in(session) or member_id


def get(session: Session, task_id: str) -> Task:
    """The task as it is, not locked.

    Raises:
        NotFound: no such task.
    """
    task = session.get(Task, task_id)
    if task is None:
        raise NotFound("There is no such task.", task_id=task_id)
    return task


def list_tasks(
    session: Session,
    now: datetime,
    *,
    owner: str | None = None,
    contact_id: str | None = None,
    state: str | None = None,
    only_open: bool = False,
    only_overdue: bool = False,
    after: str | None = None,
    limit: int = 50,
    by_due: bool = False,
) -> TaskPage:
    """Tasks that fit every filter given, oldest first or (`by_due`) the most pressing first; `owner=""` means nobody's. `after` is the
    `next_after` of the page before."""
    key = func.coalesce(col(Task.due_at), literal(NEVER, table(Task).c.due_at.type)) if by_due else col(Task.created_at)
    statement = select(Task).order_by(key, col(Task.id)).limit(min(limit, MAX_PAGE) + 1)
    if owner is not None:
        statement = statement.where(col(Task.owner) == owner if owner else col(Task.owner).is_(None))
    if contact_id is not None:
        statement = statement.where(Task.contact_id == person_of(session, contact_id))
    if state is not None:
        statement = statement.where(Task.state == state)
    if only_open or only_overdue:
        statement = statement.where(col(Task.state).in_(OPEN))
    if only_overdue:
        statement = statement.where(col(Task.due_at) < now)
    if after is not None:
        mark = get(session, after)
        place = (mark.due_at or NEVER) if by_due else mark.created_at
        statement = statement.where(or_(key > place, and_(key == place, col(Task.id) > mark.id)))
    tasks = list(session.scalars(statement))
    page = tasks[: min(limit, MAX_PAGE)]
    return TaskPage(page, page[-1].id if len(tasks) > len(page) else None)


def take(session: Session, task_id: str, member_id: str, now: datetime) -> Task:
    """A member starts on the task and becomes its owner.

    Raises:
        NotFound: no such task.
        Conflict: it is finished or cancelled, or somebody else has taken it.
    """
    task = _locked_open(session, task_id)
    if task.state == "taken":
        if task.owner == member_id:
            return task
        raise Conflict("Someone else has taken this task.")
    task.state, task.owner, task.taken_at = "taken", member_id, now
    _note(session, task, "taken", member_id, now)
    return task


def finish(session: Session, task_id: str, outcome: str, by: str, now: datetime, note: str = "") -> Event:
    """Finishes the task; returns the event `Task Finished` {task_id, outcome, run_id, node, owner}. The same outcome again is the same event.

    Raises:
        NotFound: no such task.
        Invalid: `outcome` is none of the task's outcomes.
        Conflict: it was cancelled, or finished with another outcome.
    """
    task = _locked(session, task_id)
    if outcome not in task.outcomes:
        raise Invalid("Expected an outcome out of {outcomes}.", outcomes=task.outcomes)
    if task.state not in OPEN and task.outcome != outcome:
        raise Conflict(_OVER[task.state], state=task.state)
    if task.state in OPEN:
        task.state, task.outcome, task.note, task.finished_at = "finished", outcome, clean_text(note)[:4_000], now
        _note(session, task, "finished", by, now, outcome=outcome)
    properties = {"task_id": task.id, "outcome": outcome, "run_id": task.run_id, "node": task.node, "owner": task.owner}
    return append_event(session, task.contact_id, "system", "Task Finished", properties, now, source="task", message_id=_mark("done", task))


def reassign(session: Session, task_id: str, owner: str | None, by: str, now: datetime) -> Task:
    """Gives an open task to somebody else (None: back to everybody); it has to be taken again.

    Raises:
        NotFound: no such task, or no such member.
        Conflict: it is finished or cancelled.
    """
    task = _locked_open(session, task_id)
    if owner is not None and session.get(Member, owner) is None:
        raise NotFound("There is no such member of the team.")
    before, task.owner = task.owner, owner
    task.state, task.taken_at = "open", None
    _note(session, task, "reassigned", by, now, before=before, after=owner)
    if owner and owner != before:
        task_notices.add(session, task.id, owner, "assigned", by)
    return task


def cancel(session: Session, task_id: str, by: str, now: datetime, reason: str = "") -> Task:
    """Takes the task off the list without an outcome; a cancelled one stays cancelled.

    Raises:
        NotFound: no such task.
        Conflict: it is finished.
    """
    task = _locked(session, task_id)
    if task.state == "cancelled":
        return task
    if task.state == "finished":
        raise Conflict("The task is finished already.")
    task.state, task.finished_at = "cancelled", now
    _note(session, task, "cancelled", by, now, reason=clean_text(reason)[:200])
    return task


def changes(session: Session, task_id: str) -> list[TaskChange]:
    """What happened to a task, oldest first."""
    return list(session.scalars(select(TaskChange).where(TaskChange.task_id == task_id).order_by(col(TaskChange.id))))


def meant_for(session: Session, task_ids: Collection[str]) -> dict[str, str]:
    """Task -> the member it was meant for, where whoever has it now has it only because that member is gone."""
    found: dict[str, str] = {}
    rows = session.execute(
        select(TaskChange.task_id, TaskChange.what, TaskChange.detail)
        .where(col(TaskChange.task_id).in_(task_ids), col(TaskChange.what).in_(("created", "reassigned", "escalated")))
        .order_by(col(TaskChange.id))
    )
    for task_id, _, detail in rows:
        found.pop(task_id, None)
        if isinstance(meant := detail.get("instead_of"), str):
            found[task_id] = meant
    return found


def overdue(session: Session, now: datetime, limit: int = 100) -> list[Event]:
    """Escalates open tasks whose `due_at` has passed, earliest first and each once; returns their events `Task Overdue`
    {task_id, run_id, node, owner, escalated_to}. Fewer than `limit` events: nothing is left."""
    due = session.execute(
        select(Task.id, Task.contact_id)
        .where(col(Task.escalated_at).is_(None), col(Task.state).in_(OPEN), col(Task.due_at) <= now)
        .order_by(col(Task.due_at), col(Task.id))
        .limit(limit)
    ).all()
    lock_contacts(session, {contact_id for _, contact_id in due})
    return [event for id, _ in due if (event := _escalate(session, id, now)) is not None]


def _escalate(session: Session, task_id: str, now: datetime) -> Event | None:
    task = _row(session, task_id)
    if task is None or task.escalated_at is not None or task.state not in OPEN:
        return None  # another keeper, or a person, was first
    before, task.escalated_at = task.owner, now
    meant = task.escalate_to or _gone(session, before)
    escalated_to = meant if meant is None or members.is_active(session, meant) else members.stand_in(session) or meant
    if escalated_to:
        task.owner, task.state, task.taken_at = escalated_to, "open", None
    _note(session, task, "escalated", "system", now, before=before, after=task.owner, instead_of=meant if meant != escalated_to else None)
    if task.owner:
        task_notices.add(session, task.id, task.owner, "overdue", "system")
    properties = {"task_id": task.id, "run_id": task.run_id, "node": task.node, "owner": before, "escalated_to": escalated_to}
    return append_event(session, task.contact_id, "system", "Task Overdue", properties, now, source="task", message_id=_mark("late", task))


def _gone(session: Session, owner: str | None) -> str | None:
    """An owner who has left the team: without anybody to escalate to, the task would end with nobody."""
    return owner if owner is not None and not members.is_active(session, owner) else None


def _locked_open(session: Session, task_id: str) -> Task:
    task = _locked(session, task_id)
    if task.state not in OPEN:
        raise Conflict(_OVER[task.state], state=task.state)
    return task


def _locked(session: Session, task_id: str) -> Task:
    """The task, its contact's row locked first."""
    lock_contact(session, get(session, task_id).contact_id)
    task = _row(session, task_id)
    if task is None:
        raise NotFound("There is no such task.", task_id=task_id)
    return task


def _row(session: Session, task_id: str) -> Task | None:
    statement = lock(session, select(Task).where(Task.id == task_id))
    task: Task | None = session.scalar(statement, execution_options={"populate_existing": True})
    return task


def _note(session: Session, task: Task, what: str, by: str, now: datetime, **detail: Any) -> None:
    session.add(task)
    session.add(TaskChange(task_id=task.id, what=what, by=by[:120], detail={k: v for k, v in detail.items() if v is not None}, at=now))
    session.flush()
    if what != "created":
        task_notices.note_change(session, [task.id])


def _mark(prefix: str, task: Task) -> str:
    """The message id that makes an event of a task exist once; a digest, because ids of tasks may be longer than message ids."""
    return f"{prefix}:{hashlib.sha256(task.id.encode()).hexdigest()}"
