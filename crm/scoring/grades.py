"""Grades: a letter and a number on the contact, and how many have which, counted by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crm.rules.crowd_facts import Crowd
from journeys.scoring import Grading
from journeys.scoring.model import GRADES
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
    changed, moved = [], list[tuple[str | None, str | None]]()
    for id in ids:
        row = crowd.rows[id]
        groups = () if grading is None else (grading.fit, grading.engagement)
        grade = grade_of(grading, {group: crowd.scores[id, group] for group in groups if (id, group) in crowd.scores})
        if grade == row["grade"]:
            continue
        on(session).execute(update(contacts).where(contacts.c.id == id).values(grade=grade, updated_at=now))
        moved.append((row["grade"], grade))
        crowd.rows[id] = {**row, "grade": grade}
        changed.append(id)
    _count(session, moved, now)
    return changed


def drop(session: Session, contact: Contact, now: datetime) -> None:
    """Who is nobody any more (merged or erased) has no grade."""
    count(session, contact.grade, None, now)
    contact.grade = None


def count(session: Session, before: str | None, after: str | None, now: datetime) -> None:
    """Somebody went from a grade to another."""
    _count(session, [(before, after)] if before != after else [], now)


def _count(session: Session, moved: Collection[tuple[str | None, str | None]], now: datetime) -> None:
    """In the order of grades, so that two transactions never wait for each other."""
    left, entered = (Counter(one[side] for one in moved if one[side] is not None) for side in (0, 1))
    rows = [
        {"grade": grade, "day": day_of(now), "entered": entered[grade], "left": left[grade]}
        for grade in GRADES
        if entered[grade] or left[grade]
    ]
    if not rows:
        return
    statement = upsert(session, GradeDay)
    added = {"entered": days.c.entered + statement.excluded.entered, "left": days.c.left + statement.excluded.left}
    on(session).execute(statement.on_conflict_do_update(index_elements=["grade", "day"], set_=added), rows)


def counts(session: Session) -> dict[str, int]:
    """Grade -> how many contacts have it; a sum over days, however many contacts."""
    found = select(days.c.grade, func.sum(days.c.entered) - func.sum(days.c.left)).group_by(days.c.grade)
    return {grade: int(number) for grade, number in on(session).execute(found) if number}
