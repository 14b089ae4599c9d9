"""The kinds of background jobs: bulk enrolment and tagging, migrations, imports, decisions after a restore, what is left of an erasure.

A kind does one page of a job at a time; the page and the cursor move in one transaction, so that a crash costs nothing. Adding a kind is
one entry in `KINDS`. Who takes which job is `engine.jobs.leases`, who works on them `engine.jobs.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.companies import companies
from crm.imports import undo, uploads
from crm.jobs import RULE, WANTED
from crm.people.contacts import contact_filter
from crm.privacy import erasure_rest, retention
from crm.scoring import jobs as scoring
from crm.scoring import models
from crm.segments import fill, segments
from engine import perhaps
from engine.engine import Engine
from engine.enrolment import manual
from engine.enrolment.routing import route
from engine.runs import operations
from engine.segments.evaluator import told
from engine.temporal.wakeups import Wakeups
from engine.versions import migrate
from journeys.errors import Conflict, NotFound
from journeys.rules import Rule
from models import Job, Migration, Run

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
    return contact_filter(job.input[WANTED]) if WANTED in job.input else _rule.validate_python(job.input[RULE])


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


def _undo_import_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    wanted = job.input
    done = undo.page(session, wanted["import_id"], job.cursor, job.created_by, now, engine.address_keys, dry=wanted["dry"])
    return Page(Wakeups(), done.cursor, done.counts, done.finished)


def _erase_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = erasure_rest.page(session, job, now, engine.address_keys)
    return Page(Wakeups(), done.cursor, done.counts, done.finished)


def _purge_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    cursor, done = retention.page(session, job.cursor, now, engine.address_keys)
    return Page(Wakeups(set(done.to_wake)), cursor, done.counts, finished=not cursor)


def _fill_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = fill.fill_page(session, job, now)
    wakeups = route(engine, session, done.events, now, careful=True)
    return Page(wakeups, job.cursor if done.cursor is None else done.cursor, done.counts, finished=done.cursor is None)


def _empty_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = fill.empty_page(session, job, now)
    return Page(Wakeups(), done.cursor or job.cursor, done.counts, finished=done.cursor is None)


def _company_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    done = companies.empty_page(session, job.input["company"], job.input.get("to"), now)
    wakeups = route(engine, session, done.events, now, careful=True)
    return Page(wakeups, job.cursor, {"moved": done.moved} if done.moved else {}, done.finished)


def _score_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    cursor, done = scoring.score_page(session, job, now)
    counts = {"scored": done.contacts, "booked": done.booked, "crossed": done.crossed}
    wakeups = told(engine, session, done, now)
    return Page(
        wakeups, job.cursor if cursor is None else cursor, {name: number for name, number in counts.items() if number}, cursor is None
    )


def _unscore_page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
    cursor, number = scoring.empty_page(session, job, now)
    return Page(Wakeups(), cursor or job.cursor, {"scored": number} if number else {}, finished=cursor is None)


@dataclass(frozen=True, slots=True)
class Kind:
    """`page` does the next page in the transaction that moves the job. `prepare`: what is costly and needs no lock, before that transaction.
    `yields`: nobody waits for it, so on SQLite, which lets one write at a time, it leaves others as much time as its page took."""

    page: Callable[[Engine, Session, Job, datetime], Page]
    prepare: Callable[[Engine, Job, datetime], None] | None = None
    yields: bool = False


def _prepare_import(engine: Engine, job: Job, now: datetime) -> None:
    uploads.prepare(engine.db, job.input["import_id"], now, engine.address_keys)


def _prepare_erasure(engine: Engine, job: Job, now: datetime) -> None:
    erasure_rest.prepare(engine.db, job, engine.address_keys)


def _prepare_fill(engine: Engine, job: Job, now: datetime) -> None:
    fill.prepare(engine.db, job, now)


KINDS: Mapping[str, Kind] = {
    "bulk_enrol": Kind(_enrol_page),
    "bulk_tag": Kind(_tag_page),
    "migrate": Kind(_migrate_page),
    "migrate_back": Kind(_migrate_back_page),
    "resume_stuck": Kind(_resume_page),
    "import": Kind(_import_page, _prepare_import),
    undo.JOB: Kind(_undo_import_page),
    perhaps.JOB: Kind(_restored_page),
    "erase_rest": Kind(_erase_page, _prepare_erasure),
    retention.JOB: Kind(_purge_page),
    segments.FILL: Kind(_fill_page, _prepare_fill, yields=True),
    segments.EMPTY: Kind(_empty_page, yields=True),
    companies.EMPTY: Kind(_company_page),
    companies.MOVE: Kind(_company_page),
    models.SCORE: Kind(_score_page, yields=True),
    models.EMPTY: Kind(_unscore_page, yields=True),
}
