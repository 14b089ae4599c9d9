"""What people do with runs: look, end, resume, skip, remove. Each act is a fact in the database; the wake-up only makes it quick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.sales.tasks import meant_for
from engine.engine import Engine
from engine.interpreter.state import State
from engine.restored import PERHAPS_SENT, may_go_again
from engine.runs.delivery import is_heard
from engine.runs.rows import lock_run
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict, NotFound
from journeys.values import Do, WaitFor
from models import Contact, Event, Inbox, Journey, Message, Run, Task, Trail, Version
from storage import held_messages
from storage.locks import lock_contact
from storage.run_rows import end_runs
from storage.run_trail import note_beside
from storage.sql import table
from workspace.audit import record

runs = table(Run)
trail = table(Trail)
OPEN = ("active", "held", "stuck", "quarantined")


def end_locked(engine: Engine, session: Session, run_id: str, reason: str, now: datetime) -> None:
    """Ends an open run whose contact the caller has locked. Whatever is in flight finds the run ended."""
    run = session.get_one(Run, run_id, populate_existing=True)
    end_runs(session, [run], reason, now, is_heard=lambda contact_id: is_heard(engine, session, contact_id, "Journey Ended"))


def end_run(engine: Engine, session: Session, run_id: str, by: str, now: datetime, reason: str = "ended_by_person") -> Wakeups:
    """Ends one run at once.

    Raises: NotFound; Conflict if it has ended already.
    """
    row = _open_run(session, run_id)
    note_beside(session, row, "taken_out", now, {"by": by})
    end_locked(engine, session, row.id, reason, now)
    record(session, by, "run.end", f"run:{run_id}", {"reason": reason})
    return Wakeups(runs={run_id})


def remove_contact(engine: Engine, session: Session, journey_id: str, contact_id: str, by: str, now: datetime) -> Wakeups:
    """Ends every open run of the contact in the journey; none is no error."""
    contact_id = lock_contact(session, contact_id).id
    found = session.execute(
        select(runs).where(runs.c.journey_id == journey_id, runs.c.contact_id == contact_id, runs.c.ended_at.is_(None)).order_by(runs.c.id)
    ).all()
    for row in found:
        note_beside(session, row, "taken_out", now, {"by": by})
        end_locked(engine, session, row.id, "removed", now)
    record(session, by, "journey.remove_contact", f"journey:{journey_id}", {"contact": contact_id, "runs": len(found)})
    return Wakeups(runs={row.id for row in found})


def resume_stuck(engine: Engine, session: Session, run_id: str, by: str, now: datetime) -> Wakeups:
    """Lets a stuck, held or quarantined run try again from where it is.

    Raises: NotFound; Conflict if the run is not halted, or its journey is paused.
    """
    row = _halted_run(session, run_id)
    if row.status == "held" and engine.index(session).state(row.journey_id) == "paused":
        raise Conflict("The journey is paused: resume the journey, its held runs follow in order.", run_id=run_id)
    values: dict[str, Any] = {"status": "active", "reason": "", "error": "", "updated_at": now}
    asked = row.state.get("asked")
    if row.status == "quarantined" and asked is not None:
        values |= {"step": asked, "instruction": {**row.instruction, "step": asked}}
    session.execute(update(runs).where(runs.c.id == run_id).values(values))
    if row.reason == PERHAPS_SENT:
        may_go_again(session, run_id)
    note_beside(session, row, "resumed", now, {"by": by})
    record(session, by, "run.resume", f"run:{run_id}", {"was": row.status, "reason": row.reason})
    return Wakeups(runs={run_id})


def skip_stuck(engine: Engine, session: Session, run_id: str, outlet: str, by: str, now: datetime) -> Wakeups:
    """Leads a halted run past its node through `outlet`; the node's effect does not happen.

    Raises: NotFound; Conflict if the run is not halted; Conflict if the node has no such outlet.
    """
    row = _halted_run(session, run_id)
    program = engine.program(session, row.version_id)
    state = State.from_json(row.state)
    node = program.nodes.get(state.node or program.start)
    if node is None or outlet not in node.outlets():
        outlets = list(node.outlets()) if node else []
        raise Conflict("Expected one of the outlets {outlets}, got: {outlet}.", outlets=outlets, outlet=outlet[:64], run_id=run_id)
    target = program.next[state.node or program.start, outlet]
    skipped = replace(state, blocked=None, go_to=target)
    values = {"status": "active", "reason": "", "error": "", "state": skipped.to_json(), "updated_at": now}
    session.execute(update(runs).where(runs.c.id == run_id).values(values))
    behind = held_messages.close(session, row, "run_moved_on", now)
    note_beside(session, row, "skipped", now, {"by": by}, outlet)
    record(session, by, "run.skip", f"run:{run_id}", {"node": state.node, "outlet": outlet, "to": target})
    return Wakeups(runs={run_id, *behind})


def _open_run(session: Session, run_id: str) -> Row[Any]:
    row = lock_run(session, run_id)
    if row.ended_at is not None:
        raise Conflict("The run has ended already.", run_id=run_id)
    return row


def _halted_run(session: Session, run_id: str) -> Row[Any]:
    row = _open_run(session, run_id)
    if row.status == "active":
        raise Conflict("The run is neither stuck nor held.", run_id=run_id)
    return row


# --- looking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What to list: every given field must fit. `status` may be `open`. Pages go from the newest run down, after `before` (a run id)."""

    journey_id: str | None = None
    contact_id: str | None = None
    status: str | None = None
    node: str | None = None
    version_number: int | None = None
    before: str | None = None
    limit: int = 50


def list_runs(session: Session, filter: RunFilter) -> list[dict[str, Any]]:
    """Runs, newest first, without their state."""
    statement = _filtered(filter).order_by(runs.c.id.desc()).limit(max(1, min(filter.limit, 200)))
    return [_summary(row) for row in session.execute(statement)]


def _filtered(filter: RunFilter) -> Select[Any]:
    statement = select(runs)
    for column, value in (
        (runs.c.journey_id, filter.journey_id),
        (runs.c.contact_id, filter.contact_id),
        (runs.c.node, filter.node),
        (runs.c.version_number, filter.version_number),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filter.status == "open":
        statement = statement.where(runs.c.ended_at.is_(None))
    elif filter.status:
        statement = statement.where(runs.c.status == filter.status)
    return statement.where(runs.c.id < filter.before) if filter.before else statement


def _summary(row: Row[Any]) -> dict[str, Any]:
    names = (
        "id", "journey_id", "version_number", "contact_id", "run_key", "status", "node", "node_entered_at", "due_at", "reason", "error",
        "started_at", "ended_at", "goal_at", "goal_value", "goal_event_id", "step",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


def timeline(session: Session, run_id: str) -> dict[str, Any]:
    """One run with every step it took: decisions with their inputs, waits with their deadlines, messages with their fate, the next timer.

    Raises: NotFound.
    """
    row = session.execute(select(runs).where(runs.c.id == run_id)).first()
    if row is None:
        raise NotFound("There is no such run.", run_id=run_id)
    journey = session.get(Journey, row.journey_id)
    version = session.get(Version, row.version_id)
    lines = session.execute(select(trail).where(trail.c.run_id == run_id).order_by(trail.c.step, trail.c.seq).limit(5_000)).all()
    messages = session.scalars(select(Message).where(Message.run_id == run_id).order_by(Message.id).limit(1_000)).all()  # type: ignore[arg-type]
    contact = session.get(Contact, row.contact_id)
    return {
        "run": _summary(row) | {"trigger": row.trigger, "instruction": row.instruction},
        "journey": {"id": row.journey_id, "key": journey.key if journey else "", "name": journey.name if journey else ""},
        "nodes": _node_names(version),
        "contact": {"id": row.contact_id, "email": contact.email if contact else None},
        "trail": [
            {"step": r.step, "seq": r.seq, "at": r.at, "node": r.node, "what": r.what, "outlet": r.outlet, "detail": r.detail}
            for r in lines
        ],
        "messages": [_message(m) for m in messages],
        "tasks": _tasks(session, row.contact_id, run_id),
        "heard": _heard(session, run_id),
        "next": _next(row),
    }


def _tasks(session: Session, contact_id: str, run_id: str) -> list[dict[str, Any]]:
    """The tasks that the run made, oldest first; `instead_of` is the member it was meant for, who is gone."""
    statement = select(Task).where(col(Task.contact_id) == contact_id, col(Task.run_id) == run_id).order_by(col(Task.id)).limit(1_000)
    found = session.scalars(statement).all()
    meant = meant_for(session, [task.id for task in found])
    return [
        {
            "id": task.id,
            "node": task.node,
            "title": task.title,
            "owner": task.owner,
            "state": task.state,
            "created_at": task.created_at,
            "instead_of": meant.get(task.id),
        }
        for task in found
    ]


def _node_names(version: Version | None) -> dict[str, dict[str, str]]:
    nodes = version.document.get("nodes", {}) if version else {}
    return {id: {"kind": raw.get("kind", ""), "name": raw.get("name") or id} for id, raw in nodes.items()}


def _message(message: Message) -> dict[str, Any]:
    names = (
        "id",
        "node",
        "channel",
        "status",
        "reason",
        "subject",
        "planned_at",
        "held_until",
        "sent_at",
        "opened_at",
        "clicked_at",
        "bounced_at",
        "body_id",
    )
    return {name: getattr(message, name) for name in names} | {"instead_of": (message.answer or {}).get("data", {}).get("instead_of")}


def _heard(session: Session, run_id: str) -> list[dict[str, Any]]:
    events, inbox = table(Event), table(Inbox)
    rows = session.execute(
        select(events.c.id, events.c.name, events.c.occurred_at, inbox.c.arrived_at, inbox.c.consumed)
        .join(inbox, inbox.c.event_id == events.c.id)
        .where(inbox.c.run_id == run_id)
        .order_by(inbox.c.arrived_at)
        .limit(1_000)
    )
    return [dict(row._mapping) for row in rows]


def _next(row: Row[Any]) -> dict[str, Any] | None:
    """What the run waits for now."""
    if row.ended_at is not None:
        return None
    blocked = State.from_json(row.state).blocked
    what = {"status": row.status, "due_at": row.due_at, "node": row.node}
    if isinstance(blocked, WaitFor):
        return what | {"waits_for": [branch.event or "rule" for branch in blocked.branches]}
    return what | {"calls": blocked.call.channel} if isinstance(blocked, Do) else what


def counts(session: Session, journey_id: str) -> dict[str, int]:
    """Runs by status, and how many reached the goal."""
    rows = session.execute(select(runs.c.status, func.count()).where(runs.c.journey_id == journey_id).group_by(runs.c.status)).all()
    goals = session.execute(
        select(func.count())
        .select_from(runs)
        .where(runs.c.journey_id == journey_id, runs.c.goal_at.is_not(None), runs.c.status != "held_out")
    ).scalar_one()
    return {**dict(rows), "goals": goals}
