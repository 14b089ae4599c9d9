"""Grades: a letter and a number on the contact, and how many have which, counted by day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crm.rules.crowd_facts import Crowd
from journeys.scoring import Grading
from models import Contact, GradeDay
from storage.sql import on, table, upsert
from storage.tally import day_of

contacts, days = table(Contact), table(GradeDay)


def grade_of(grading: Grading | None, scores: Mapping[str, float]) -> str | None:
    """None for who has never had points in either group."""
    if grading is None or scores.keys().isdisjoint((grading.fit, grading.engagement)):
        return None
    return grading.grade(scores.get(grading.fit, 0.0), scores.get(grading.engagement, 0.0))


def give(session: Session, grading: Grading | None, ids: Collection[str], crowd: Crowd, now: datetime) -> list[str]:
    """Writes the grades of contacts whose locks the caller holds; returns whose has changed."""
    changed = []
    for id in ids:
        row = crowd.rows[id]
        groups = () if grading is None else (grading.fit, grading.engagement)
        grade = grade_of(grading, {group: crowd.scores[id, group] for group in groups if (id, group) in crowd.scores})
        if grade == row["grade"]:
            continue
        on(session).execute(update(contacts).where(contacts.c.id == id).values(grade=grade, updated_at=now))
        count(session, row["grade"], grade, now)
        crowd.rows[id] = {**row, "grade": grade}
        changed.append(id)
    return changed


def drop(session: Session, contact: Contact, now: datetime) -> None:
    """Who is nobody any more (merged or erased) has no grade."""
    count(session, contact.grade, None, now)
    contact.grade = None


def count(session: Session, before: str | None, after: str | None, now: datetime) -> None:
    """Somebody went from a grade to another."""
    for grade, entered in sorted((one, number) for one, number in ((before, 0), (after, 1)) if one is not None and before != after):
        statement = upsert(session, GradeDay).values(grade=grade, day=day_of(now), entered=entered, left=1 - entered)
        new = statement.excluded
        added = {"entered": days.c.entered + new.entered, "left": days.c.left + new.left}
        on(session).execute(statement.on_conflict_do_update(index_elements=["grade", "day"], set_=added))


def counts(session: Session) -> dict[str, int]:
    """Grade -> how many contacts have it; a sum over days, however many contacts."""
    found = select(days.c.grade, func.sum(days.c.entered) - func.sum(days.c.left)).group_by(days.c.grade)
    return {grade: int(number) for grade, number in on(session).execute(found) if number}
