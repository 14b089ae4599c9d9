"""Background jobs in pages: bulk enrolment and tagging, migrations, imports. One thread takes a page of the oldest running job, again and again.

A page and the cursor move in one transaction under the job's lock, so a crash costs nothing and two web servers may work on
the same job without doing a page twice. Adding a kind of job is one function in `KINDS`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlmodel import col, select

from api.http.errors import is_busy, is_out_of_space
from crm.imports import uploads
from crm.jobs import RULE, WANTED, add_job, cancel_job, end, end_early, get_job, locked
from crm.people.contacts import wanted_of
from crm.privacy import erasure_rest
from engine import perhaps
from engine.engine import Engine
from engine.enrolment import manual
from engine.runs import operations
from engine.temporal.wakeups import Wakeups
from engine.versions import migrate
from journeys.errors import Conflict, NotFound, PfadwerkError, Sentence
from journeys.rules import Rule
from models import Job, Migration, Run

__all__ = ["KINDS", "WANTED", "JobRow", "Jobs", "Page", "add_job", "cancel_job", "do_page", "get_job"]

log = logging.getLogger("pfadwerk.jobs")

IDLE_SECONDS = 5.0
"""How often the thread looks for work that another process left behind."""
RETRY_SECONDS = 1.0
RESUME_PAGE = 100

_rule: TypeAdapter[Rule | None] = TypeAdapter(Rule | None)


@dataclass(slots=True)
class Page:
    """What one page did. `cursor` is where the next begins; `finished` when there is none."""

    wakeups: Wakeups
    cursor: str
    counts: Mapping[str, int]
    finished: bool


def _enrol_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    occasion = f"job:{job.id}"
    journey_id, whom = job.input["journey_id"], _whom(job)
    wakeups, after, counts = manual.enrol_page(engine, session, journey_id, whom, job.cursor, now, occasion, job.created_at)
    return Page(wakeups, after or job.cursor, counts, finished=after is None)


def _tag_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    tag, added = job.input["tag"], job.input["added"]
    wakeups, after, counts = manual.tag_page(engine, session, _whom(job), tag, added, job.cursor, now, job.created_by)
    return Page(wakeups, after or job.cursor, counts, finished=after is None)


def _whom(job: Job) -> manual.Whom:
    return wanted_of(job.input[WANTED]) if WANTED in job.input else _rule.validate_python(job.input[RULE])


def _migrate_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    """The counts are the migration's own: the keeper moves chunks, too."""
    migration = _migration_of(session, job)
    wakeups, finished = migrate.move_chunk(engine, session, migration.id, now)
    return Page(wakeups, migration.after_run, _more_than(job, {"moved": migration.moved, "skipped": migration.skipped}), finished)


def _migrate_back_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    migration = _migration_of(session, job)
    wakeups, finished = migrate.back_chunk(engine, session, migration.id, now)
    far = migrate.progress(session, migration)
    return Page(wakeups, migration.after_run, _more_than(job, {"put_back": far.put_back, "stayed": far.stayed}), finished)


def _migration_of(session: Session, job: Job) -> Migration:
    migration = session.get(Migration, job.input["migration_id"], with_for_update=True)
    if migration is None:
        raise NotFound("There is no such migration.")
    return migration


def _more_than(job: Job, counts: Mapping[str, int]) -> dict[str, int]:
    """What came on top of what the job has counted so far."""
    return {name: number - job.counts.get(name, 0) for name, number in counts.items()}


def _resume_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    """Stuck runs of a journey, in order; one whose state changed meanwhile is passed over."""
    stuck = select(Run.id).where(Run.journey_id == job.input["journey_id"], Run.status == "stuck", col(Run.id) > job.cursor)
    page = session.scalars(stuck.order_by(col(Run.id)).limit(RESUME_PAGE)).all()
    wakeups, resumed = Wakeups(), 0
    for run_id in page:
        try:
            wakeups.add(operations.resume_stuck(engine, session, run_id, job.created_by, now))
            resumed += 1
        except Conflict:
            continue
    return Page(wakeups, page[-1] if page else job.cursor, {"resumed": resumed}, finished=len(page) < RESUME_PAGE)


def _restored_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    restore_id, assume = job.input["restore_id"], job.input["assume"]
    wakeups, after, counts = perhaps.decide_page(engine, session, restore_id, assume, job.cursor, job.created_by, now)
    return Page(wakeups, after or job.cursor, counts, finished=after is None)


def _import_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = uploads.page(session, job.input["import_id"], now)
    return Page(Wakeups(), str(done.cursor), done.counts, done.finished)


def _erase_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = erasure_rest.page(session, job, now, engine.address_keys)
    return Page(Wakeups(), done.cursor, done.counts, done.finished)


Work = Callable[[Engine, Session, Job, datetime], Page]
Prepare = Callable[[Engine, Job, datetime], None]

KINDS: dict[str, Work] = {
    "bulk_enrol": _enrol_page,
    "bulk_tag": _tag_page,
    "migrate": _migrate_page,
    "migrate_back": _migrate_back_page,
    "resume_stuck": _resume_page,
    "import": _import_page,
    perhaps.JOB: _restored_page,
    "erase_rest": _erase_page,
}
BEFORE: dict[str, Prepare] = {
    "import": lambda engine, job, now: uploads.prepare(engine.db, job.input["import_id"], now, engine.address_keys),
    "erase_rest": lambda engine, job, now: erasure_rest.prepare(engine.db, job, engine.address_keys),
}
"""Kind -> what is costly and needs no lock: done before the transaction of each page."""


class JobRow(BaseModel):
    """Background jobs and how far it got. `state`: running, done, failed or cancelled; `total` null: not known beforehand."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    subject: str
    state: str
    done: int
    total: int | None
    counts: dict[str, int] = Field(examples=[{"entered": 412, "already_entered": 3}])
    error: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @field_validator("error", mode="before")
    @classmethod
    def _in_english(cls, written: str) -> str:
        """The interface speaks English; the row holds the sentence and its values apart."""
        return str(Sentence.read(written)) if written else ""


@dataclass(frozen=True, slots=True)
class Also:
    """Kinds of job that need more than the engine: what carries out a page of them, and what is done before it."""

    kinds: Mapping[str, Work] = field(default_factory=dict)
    before: Mapping[str, Prepare] = field(default_factory=dict)


NO_MORE = Also()


def do_page(engine: Engine, job_id: str, also: Also = NO_MORE) -> Wakeups:
    """One page of a job, with its cursor, in one transaction. An error of the work itself ends the job; what was done stays done."""
    now = engine.clock.now()
    try:
        _prepare(engine, job_id, now, {**BEFORE, **also.before})
        with engine.db.write() as session:
            job = locked(session, job_id)
            if job is None or job.state != "running":
                return Wakeups()
            page = {**KINDS, **also.kinds}[job.kind](engine, session, job, now)
            _advance(job, page, now)
            session.add(job)
        return page.wakeups
    except PfadwerkError as error:
        _fail(engine, job_id, error, now)
        return Wakeups()


def _prepare(engine: Engine, job_id: str, now: datetime, before: Mapping[str, Prepare]) -> None:
    with engine.db.read() as session:
        job = session.get(Job, job_id)
    if job is not None and job.state == "running" and job.kind in before:
        before[job.kind](engine, job, now)


def _advance(job: Job, page: Page, now: datetime) -> None:
    job.cursor = page.cursor
    job.counts = {name: job.counts.get(name, 0) + page.counts.get(name, 0) for name in {*job.counts, *page.counts}}
    job.done += sum(page.counts.values())
    job.updated_at = now
    if page.finished:
        end(job, "done", now)


def _fail(engine: Engine, job_id: str, error: PfadwerkError, now: datetime) -> None:
    with engine.db.write() as session:
        job = locked(session, job_id)
        if job is not None:
            end_early(session, job, "failed", now, error)


class Jobs:
    """The thread that works on jobs while the web server runs."""

    def __init__(self, engine: Engine, wake: Callable[..., None], also: Also = NO_MORE) -> None:
        self._engine = engine
        self._also = also
        self._wake = wake
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends after the page that is under way; blocks meanwhile."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """There is a new job."""
        self._news.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            wait = self._round()
            if wait:
                self._news.wait(wait)

    def _round(self) -> float:
        """One page of every running job; returns how long to wait before the next round."""
        try:
            with self._engine.db.read() as session:
                running = session.scalars(select(Job.id).where(Job.state == "running").order_by(col(Job.id)).limit(100)).all()
            for job_id in running:
                if self._stopping.is_set():
                    return 0.0
                self._wake(do_page(self._engine, job_id, self._also), wait=True)
        except DBAPIError as error:
            if not (is_busy(error) or is_out_of_space(error)):
                log.error("a job cannot go on: %s", type(error).__name__)
            return RETRY_SECONDS
        except TimeoutError:
            log.warning("Temporal is slow; the keeper starts what is missing")
        return 0.0 if running else IDLE_SECONDS
