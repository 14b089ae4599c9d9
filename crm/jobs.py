"""Rows of background jobs: queue one, look at it, end it. Who does the work, page by page, is `engine.jobs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.imports import uploads
from journeys.errors import Conflict, NotFound, PfadwerkError, Sentence
from models import Job, lock
from workspace.audit import record

STOPPED: Mapping[str, Callable[[Session, Job, str, datetime], None]] = {"import": uploads.stopped}
"""Kind -> what else happens when a job of it ends early: (session, job, cancelled or failed, now)."""
WANTED = "wanted"
"""Where the input of a job holds the filters of a list (`crm.people.contacts.ContactFilter`)."""
SEALED = "sealed"
"""Where it holds, sealed, what names a person that was erased."""
RULE = "rule"
"""Where it holds a rule for contacts instead."""
_WHOLE = "A migration cannot be stopped halfway; let it finish, then roll it back."
MAX_ERROR = 300
"""Characters that the column holds."""
UNSTOPPABLE: Mapping[str, str] = {
    "migrate": _WHOLE,
    "migrate_back": _WHOLE,
    "segment_fill": "A segment is filled to the end, because half of its members would mislead. Change its rule, or delete it.",
    "segment_empty": "A deleted segment goes as a whole.",
    "company_empty": "A deleted company goes as a whole.",
    "company_move": "A company is merged to the end: half of its members would be elsewhere.",
    "score_fill": "Everybody is scored to the end, because half of the scores would mislead. Change the scoring model, or switch it off.",
    "score_empty": "What a scoring model gave is taken back as a whole.",
    "erase_rest": "An erasure cannot be stopped halfway: what mentions the person would remain.",
}


def add_job(session: Session, kind: str, subject: str, input: Mapping[str, Any], by: str, now: datetime, total: int | None = None) -> Job:
    """Queues a job; whoever works on jobs finds it after the commit."""
    job = Job(kind=kind, subject=subject, input=dict(input), total=total, created_by=by, created_at=now, updated_at=now)
    session.add(job)
    session.flush()
    record(session, by, f"job.{kind}", subject, {"job": job.id, "total": total})
    return job


def get_job(session: Session, job_id: str) -> Job:
    """Raises:
    NotFound: no such job."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound("There is no job with this id.")
    return job


def list_jobs(session: Session, before: str | None = None, limit: int = 50) -> list[Job]:
    """Newest first; `before` is the id of a job."""
    statement = select(Job).order_by(col(Job.id).desc()).limit(limit)
    return list(session.scalars(statement.where(col(Job.id) < before) if before else statement))


def newest_job(session: Session, subject: str, *kinds: str) -> Job | None:
    """The latest work on a subject, of one of `kinds` if any are named."""
    wanted = select(Job).where(Job.subject == subject).order_by(col(Job.id).desc()).limit(1)
    return session.scalar(wanted.where(col(Job.kind).in_(kinds)) if kinds else wanted)


def cancel_job(session: Session, job_id: str, by: str, now: datetime) -> Job:
    """Ends a running job after the page it is on; what is done stays done.

    Raises:
        NotFound: no such job.
        Conflict: it has ended, or cannot be stopped half way.
    """
    job = locked(session, job_id)
    if job is None:
        raise NotFound("There is no job with this id.")
    if job.state != "running":
        raise Conflict("This job has already ended.", state=job.state)
    if job.kind in UNSTOPPABLE:
        raise Conflict(UNSTOPPABLE[job.kind])
    end_early(session, job, "cancelled", now)
    record(session, by, "job.cancel", job.subject, {"job": job.id})
    return job


def end_early(session: Session, job: Job, state: str, now: datetime, error: PfadwerkError | None = None) -> None:
    """A locked job ends before its work is done: `cancelled` or `failed`, then with the error that ended it."""
    job.error = Sentence.of(error).write(MAX_ERROR) if error else ""
    end(job, state, now)
    session.add(job)
    if job.kind in STOPPED:
        STOPPED[job.kind](session, job, state, now)


def end(job: Job, state: str, now: datetime) -> None:
    """Whom it was about is forgotten: filters and rules hold what somebody typed, names and addresses among it."""
    job.input = {name: value for name, value in job.input.items() if name not in (WANTED, RULE, SEALED)}
    job.state, job.updated_at, job.finished_at = state, now, now
    job.leased_by, job.free_at = "", None


def why(job: Job) -> Sentence | None:
    """What ended a job before its work was done, to be said in the language of whoever asks."""
    return Sentence.read(job.error) if job.error else None


def locked(session: Session, job_id: str) -> Job | None:
    """The job, locked and fresh."""
    job: Job | None = session.scalar(lock(session, select(Job).where(Job.id == job_id)), execution_options={"populate_existing": True})
    return job
