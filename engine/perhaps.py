"""The list of calls that may have left before a backup was restored, and deciding about all of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from crm.jobs import add_job, newest_job
from crm.uncertain import decide
from engine.engine import Engine
from engine.restored import PERHAPS_SENT, Assume, assume_from_now_on
from engine.runs.operations import resume_stuck
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict, NotFound
from models import Job, Message, Restore, RestoredMessage, Run
from storage.sql import on, table
from workspace.audit import record

messages = table(Message)
marked = table(RestoredMessage)
restores = table(Restore)
runs = table(Run)

JOB = "decide_restored"
PAGE = 25

_listed = (
    select(
        marked.c.message_id, messages.c.status, messages.c.reason, messages.c.attempts, messages.c.run_id, runs.c.status.label("run_status")
    )
    .join(messages, messages.c.id == marked.c.message_id)
    .outerjoin(runs, runs.c.id == messages.c.run_id)
    .where(marked.c.restore_id == bindparam("of_restore"), marked.c.assumed == "ask", marked.c.message_id > bindparam("after"))
    .order_by(marked.c.message_id)
    .limit(PAGE)
)
_counts = (
    select(marked.c.assumed, func.count().label("count")).where(marked.c.restore_id == bindparam("of_restore")).group_by(marked.c.assumed)
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A restore, and how many calls that may have left have come up since: `ask` wait for a person, `sent` count as sent, `unsent` went (again),
    `absent` the provider never got, `left` a person has left as they are."""

    restore: Restore
    counts: dict[str, int]


def listed(session: Session, limit: int = 20) -> list[Listed]:
    """Newest first."""
    found: Sequence[Restore] = session.scalars(select(Restore).order_by(restores.c.restored_at.desc()).limit(limit)).all()
    return [Listed(one, _count(session, one.id)) for one in found]


def _count(session: Session, restore_id: str) -> dict[str, int]:
    return {row.assumed: int(row[1]) for row in on(session).execute(_counts, {"of_restore": restore_id})}


def subject(restore_id: str) -> str:
    """How the audit trail and jobs name a restore."""
    return f"restore:{restore_id}"


def decide_all(session: Session, restore_id: str, assume: Assume, by: str, now: datetime) -> Job | None:
    """What is made of all that are listed (a job does it, None if there is nothing to do) and of all that come up later.

    Raises: NotFound.
    """
    if session.get(Restore, restore_id, with_for_update=True) is None:
        raise NotFound("This restore does not exist.")
    assume_from_now_on(session, restore_id, assume)
    record(session, by, "restore.assume", subject(restore_id), {"assume": assume})
    open_ones = _count(session, restore_id).get("ask", 0)
    if assume == "ask" or not open_ones:
        return None
    return add_job(session, JOB, subject(restore_id), {"restore_id": restore_id, "assume": assume}, by, now, open_ones)


def under_way(session: Session, restore_id: str, assume: Assume) -> str | None:
    """The job that makes the same of all that are listed and has not ended yet."""
    job = newest_job(session, subject(restore_id), JOB)
    return job.id if job is not None and job.state == "running" and job.input["assume"] == assume else None


def decide_page(
    engine: Engine, session: Session, restore_id: str, assume: Assume, after: str, by: str, now: datetime
) -> tuple[Wakeups, str | None, dict[str, int]]:
    """Decides about the next ones after `after`. Returns what to wake, the id to go on after (None: this was the last page), and counts:
    `decided`, and `kept` for those that take a person (a notice cannot be sent again, an own step's outlet must be chosen)."""
    page = on(session).execute(_listed, {"of_restore": restore_id, "after": after}).all()
    wakeups, counts = Wakeups(), Counter[str]()
    for row in page:
        try:
            wakeups.add(_decide(engine, session, row, assume, by, now))
            counts["decided"] += 1
        except Conflict:
            counts["kept"] += 1
    return wakeups, page[-1].message_id if len(page) == PAGE else None, dict(counts)


def _decide(engine: Engine, session: Session, row: Any, assume: Assume, by: str, now: datetime) -> Wakeups:
    """Raises: Conflict, if it cannot be decided like this, or somebody has decided meanwhile."""
    if row.status == "uncertain" and row.reason == PERHAPS_SENT:
        decide(session, row.message_id, "sent" if assume == "sent" else "again", row.attempts, by, now)
        return Wakeups()
    if row.run_status != "stuck" or row.reason != PERHAPS_SENT:
        raise Conflict("This has already been decided: the message is now “{status}”.", status=row.status)
    wakeups = resume_stuck(engine, session, row.run_id, by, now)
    on(session).execute(update(marked).where(marked.c.message_id == row.message_id).values(assumed=assume))
    return wakeups
