"""The background work of scoring: everybody is scored by a new version, and what a model gave is taken back. A page a time.

A page and its cursor move in one transaction, so a job goes on where it was interrupted. What happens to contacts meanwhile is marked as ever; who is
scored twice gets the same points.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from crm.rules.crowd_facts import Crowd
from crm.scoring import booking, models
from crm.scoring.booked import booked, flips, reached
from crm.scoring.targets import definition_of
from crm.segments import fill
from crm.segments.evaluation import Done, Voice, locked, score_stretch
from journeys.scoring.model import GRADE_TOPIC
from models import Contact, Job, ScoreModel, lock
from storage import segment_marks
from storage.sql import on, table

PAGE = 200
"""Contacts that are scored in one transaction of a job."""

rows, contacts = table(ScoreModel), table(Contact)


def score_page(session: Session, job: Job, now: datetime) -> tuple[str | None, Done]:
    """Scores the next contacts. A job whose model has a newer version, or is off, is over at once. The cursor is None at the end."""
    row = _mine(session, job)
    if row is None or row.state != models.SCORING:
        return None, Done()
    cursor = job.cursor
    if not cursor.startswith(fill.FROM):
        begun = fill.since_when(session, cursor)
        if begun is not None:
            return begun, Done()
        cursor = fill.FROM
    done, last = score_stretch(session, models.id_of(row), cursor.removeprefix(fill.FROM), PAGE, now, Voice(silent=not row.announce))
    if last is None:
        _finish(session, job)
    return (None if last is None else f"{fill.FROM}{last}"), done


def empty_page(session: Session, job: Job, now: datetime) -> tuple[str | None, int]:
    """Takes back what the model gave the next contacts, silently; at the end of a deleted one, the model itself."""
    row = session.get(ScoreModel, job.input["model"], populate_existing=True)
    if row is None or row.state not in (models.OFF, models.EMPTYING):  # of whatever version: it gives nothing
        return None, 0
    if not job.cursor or job.cursor.startswith(fill.WAIT):  # who began before it was switched off may still give
        begun = fill.since_when(session, job.cursor)
        if begun is not None:
            return begun, 0
    for held in (booked, reached, flips):
        found = select(held.c.contact_id).where(held.c.model_id == row.id).distinct().order_by(held.c.contact_id).limit(PAGE)
        ids = list(on(session).execute(found).scalars())
        if not ids:
            continue
        _take_back(session, row, ids, now)
        for one in (booked, reached, flips):
            on(session).execute(delete(one).where(one.c.model_id == row.id, one.c.contact_id.in_(ids)))
        return held.name, len(ids)
    graded = _graded(session, row)
    if graded:
        _take_back(session, row, graded, now)
        on(session).execute(contacts.update().where(contacts.c.id.in_(graded)).values(grade=None))
        return "grade", len(graded)
    if row.state == models.EMPTYING:
        on(session).execute(delete(rows).where(rows.c.id == row.id))
    else:
        mine = (rows.c.id == row.id, rows.c.version == row.version, rows.c.state == models.OFF)
        on(session).execute(rows.update().where(*mine).values(gives=sorted({*row.gives} - {GRADE_TOPIC})))
    return None, 0


def _take_back(session: Session, row: ScoreModel, ids: Collection[str], now: datetime) -> None:
    living = sorted(locked(session, ids))
    changed = booking.take_back(session, models.known(row), living, Crowd(session, living, now), now).changed
    for id, topic in sorted(changed):
        segment_marks.mark(session, [id], (topic,), now, silent=True)


def _graded(session: Session, row: ScoreModel) -> list[str]:
    """The next contacts with a grade that nothing gives any more: theirs came of points by steps or by other models."""
    others = segment_marks.known(session).models.values()
    if GRADE_TOPIC not in row.gives or any(GRADE_TOPIC in one.gives for one in others):
        return []
    statement = select(contacts.c.id).where(contacts.c.grade.is_not(None)).order_by(contacts.c.grade, contacts.c.id).limit(PAGE)
    return list(on(session).execute(statement).scalars())


def _mine(session: Session, job: Job) -> ScoreModel | None:
    row = session.get(ScoreModel, job.input["model"], populate_existing=True)
    return row if row is not None and row.version == job.input["version"] else None


def _finish(session: Session, job: Job) -> None:
    """Everybody is scored: from now on changes are told. A newer version has a job of its own."""
    mine = (rows.c.id == job.input["model"], rows.c.version == job.input["version"], rows.c.state == models.SCORING)
    found = on(session).execute(lock(session, select(rows.c.definition).where(*mine))).scalar()
    if found is None:
        return
    gives = models.gives_of(definition_of(found))
    on(session).execute(rows.update().where(*mine).values(state=models.ON, announce=False, gives=sorted(gives)))
    segment_marks.changed(session)
