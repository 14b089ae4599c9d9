"""Who works on which background job: a worker takes a job for some seconds, renews that while it works, and gives it back.

All of it in real time (`real_now`). A job that nobody renewed is free for the next worker, who goes on at its cursor. A lease keeps workers out of each
other's way; that no page is done twice hangs on the row's lock and on `leased_by`, which the page's own transaction asks.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, literal_column, or_, select, update
from sqlalchemy.orm import Session

from crm.jobs import UNSTOPPABLE, end_early
from journeys.errors import PfadwerkError
from models import Job
from storage.sql import changed_rows, on, table

log = logging.getLogger("pfadwerk.jobs")

jobs = table(Job)

LEASE = timedelta(seconds=10)
"""How long after its last sign of life a worker keeps a job."""
MAX_ATTEMPTS = 5
"""So often in a row a page may break off, by an unexpected error or with its process, before the job is given up, if its kind may be."""
PAUSE = timedelta(seconds=1)
"""Before the second attempt; doubled before each further one."""
MAX_PAUSE = timedelta(minutes=5)
_MAX_DOUBLINGS = 16
"""Far beyond `MAX_PAUSE`, and small enough for a `timedelta`."""

_running = jobs.c.state == literal_column("'running'")  # in the index's own words, or SQLite does not use it


class GivenUp(PfadwerkError):
    """A job whose pages break off each time."""

    code = "job_given_up"
    status = 500


def free_jobs(session: Session, kinds: Collection[str], now: datetime, limit: int = 1, without: Collection[str] = ()) -> list[str]:
    """Ids of running jobs that nobody holds; who rested longest comes first, so that all get their turn."""
    return list(session.scalars(_free(select(jobs.c.id), kinds, now, without).limit(limit)))


def take_this(session: Session, holder: str, job_id: str, real_now: datetime) -> bool:
    """Whether `holder` may work on this job from now on, or may already."""
    free = or_(jobs.c.free_at.is_(None), jobs.c.free_at <= real_now, jobs.c.leased_by == holder)
    mine = update(jobs).where(_running, jobs.c.id == job_id, free).values(leased_by=holder, free_at=real_now + LEASE)
    return bool(changed_rows(session, mine))


def take(
    session: Session, holder: str, kinds: Collection[str], real_now: datetime, now: datetime, without: Collection[str] = ()
) -> str | None:
    """The id of a job that `holder` may work on from now on, None if there is none. A job that took several workers with it is given up,
    or rests if its kind never is.

    `kinds` are those that this process knows: during an upgrade an older worker leaves new ones alone. `now` is the workspace's time, for
    the end of a job. `without` are ids that threads of `holder` still work on: a process that was frozen has leases that ended, and one
    name for all its threads.
    """
    free = _free(select(Job), kinds, real_now, without)
    job: Job | None = session.scalar(free.limit(1).with_for_update(skip_locked=True))
    if job is None:
        return None
    if job.leased_by:
        job.attempts += 1
        if job.attempts >= MAX_ATTEMPTS:
            _give_up(session, job, real_now, now)
            return None
    job.leased_by, job.free_at = holder, real_now + LEASE
    session.add(job)
    return job.id


def renew(session: Session, holder: str, ids: Collection[str], now: datetime) -> None:
    """Those of `ids` that are still leased by `holder` stay its own for another while. A row that a page has locked is passed over: the
    end of the page renews it, and the others must not wait for that."""
    held = select(jobs.c.id).where(_running, jobs.c.leased_by == holder, jobs.c.id.in_(ids))
    mine = update(jobs).where(jobs.c.id.in_(held.with_for_update(skip_locked=True)))
    on(session).execute(mine.values(free_at=now + LEASE))


def give_back(session: Session, holder: str, job_id: str, now: datetime) -> None:
    """Anyone may go on with it from `now`."""
    mine = update(jobs).where(_running, jobs.c.id == job_id, jobs.c.leased_by == holder)
    on(session).execute(mine.values(leased_by="", free_at=now))


def broke_off(session: Session, job: Job, real_now: datetime, now: datetime) -> None:
    """A page of the locked job met something that no one foresaw: it is tried again after a pause, and given up after some tries, if its
    kind ever is."""
    job.attempts += 1
    if job.attempts >= MAX_ATTEMPTS:
        _give_up(session, job, real_now, now)
    else:
        _rest(session, job, real_now)


def _rest(session: Session, job: Job, real_now: datetime) -> None:
    pause = min(MAX_PAUSE, PAUSE * 2 ** min(job.attempts - 1, _MAX_DOUBLINGS))
    job.leased_by, job.free_at = "", real_now + pause
    session.add(job)


def _give_up(session: Session, job: Job, real_now: datetime, now: datetime) -> None:
    """What must not stop half way rests instead: its end would forget what it needs to go on."""
    if job.kind in UNSTOPPABLE:
        _rest(session, job, real_now)
        log.error("the job %s (%s) broke off %d times and is tried again until it is done", job.id, job.kind, job.attempts)
        return
    error = GivenUp("The job failed {count} times; see the log of the worker.", count=job.attempts)
    end_early(session, job, "failed", now, error)


def _free(statement: Select[Any], kinds: Collection[str], now: datetime, without: Collection[str]) -> Select[Any]:
    unleased = or_(jobs.c.free_at.is_(None), jobs.c.free_at <= now)
    if without:
        statement = statement.where(jobs.c.id.not_in(without))
    return statement.where(_running, jobs.c.kind.in_(kinds), unleased).order_by(jobs.c.free_at.nulls_first(), jobs.c.id)
