"""What people ask about scoring: what a model would do, before it does; and how a contact came to its scores. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.rules.crowd_facts import Crowd
from crm.scoring.booked import booked, reached
from crm.scoring.grades import grade_of
from crm.scoring.models import EMPTYING
from crm.scoring.targets import definition_of, targets
from journeys.scoring import Definition
from models import Contact, Score, ScoreChange, ScoreModel
from storage.sql import on, table

PAGE = 250
EXAMPLES = 10
DAYS = 30
"""A dry run scores those that are new, have changed, or of whom something was heard, in so many days."""

contacts = table(Contact)


@dataclass(slots=True)
class Tried:
    """What a model would come to: `scored` contacts, their grades, and by threshold who would reach it that has not (`crossed`; `examples` are ids)
    and how many would be above it in all. `next`: where to go on; None at the end."""

    scored: int = 0
    grades: dict[str, int] = field(default_factory=dict)
    above: dict[str, int] = field(default_factory=dict)
    crossed: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    next: str | None = None

    def add(self, other: Tried) -> None:
        """Takes over what the next stretch found."""
        self.scored += other.scored
        for mine, theirs in ((self.grades, other.grades), (self.above, other.above), (self.crossed, other.crossed)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number
        for name, ids in other.examples.items():
            self.examples[name] = [*self.examples.get(name, ()), *ids][:EXAMPLES]
        self.next = other.next


def attempt(
    session: Session,
    definition: Definition,
    now: datetime,
    seconds: float,
    *,
    model_id: int | None = None,
    cursor: str = "",
    days: int = DAYS,
) -> Tried:
    """Scores contacts of the last `days`, newest first, for so many seconds and one page more; `model_id` is the model whose points the definition
    would replace. `cursor`: the `next` of the stretch before."""
    found, until = Tried(next=cursor or None), monotonic() + seconds
    while True:
        ids, found.next = _recent(session, now - timedelta(days=days), found.next)
        _try(session, definition, ids, model_id, now, found)
        if found.next is None or monotonic() >= until:
            return found


def _recent(session: Session, since: datetime, before: str | None) -> tuple[list[str], str | None]:
    """Of the next `PAGE` contacts those who are new, have changed, or of whom something was heard; and the last that was looked at."""
    statement = select(*(contacts.c[name] for name in ("id", "updated_at", "last_seen_at", "merged_into", "erased_at")))
    statement = statement if before is None else statement.where(contacts.c.id < before)
    rows = on(session).execute(statement.order_by(contacts.c.id.desc()).limit(PAGE)).all()
    living = [row for row in rows if row.merged_into is None and row.erased_at is None]
    recent = [row.id for row in living if max(row.updated_at, row.last_seen_at or row.updated_at) >= since]
    return recent, rows[-1].id if len(rows) == PAGE else None


def _try(session: Session, definition: Definition, ids: Sequence[str], model_id: int | None, now: datetime, found: Tried) -> None:
    crowd = Crowd(session, ids, now)
    wanted = targets(session, definition, ids, crowd, now).points
    given = _given(session, model_id, ids)
    for id in ids:
        before = {group: value for (one, group), value in crowd.scores.items() if one == id}
        after = dict(before)
        for group, points in given.get(id, {}).items():
            after[group] = after.get(group, 0.0) - points
        for (_, group), points in wanted[id].items():
            after[group] = after.get(group, 0.0) + points
        found.scored += 1
        grade = grade_of(definition.grading, after)
        if grade is not None:
            found.grades[grade] = found.grades.get(grade, 0) + 1
        for one in definition.thresholds:
            if after.get(one.group, 0.0) >= one.at_least:
                found.above[one.id] = found.above.get(one.id, 0) + 1
                if before.get(one.group, 0.0) < one.at_least:
                    found.crossed[one.id] = found.crossed.get(one.id, 0) + 1
                    some = found.examples.setdefault(one.id, [])
                    some += [id] if len(some) < EXAMPLES else []


def _given(session: Session, model_id: int | None, ids: Sequence[str]) -> Mapping[str, dict[str, float]]:
    """contact -> group -> what the model has given so far."""
    found: dict[str, dict[str, float]] = {}
    if model_id is None:
        return found
    mine = select(booked.c.contact_id, booked.c.score_group, booked.c.points)
    for id, group, points in on(session).execute(mine.where(booked.c.model_id == model_id, booked.c.contact_id.in_(list(ids)))):
        theirs = found.setdefault(id, {})
        theirs[group] = theirs.get(group, 0.0) + points
    return found


@dataclass(frozen=True, slots=True)
class Reached:
    """A threshold that a contact is at or above."""

    model: str
    threshold: str
    name: str
    group: str
    since: datetime


def scores_of(session: Session, contact_id: str) -> dict[str, float]:
    """Group -> value, by group."""
    rows = session.execute(select(col(Score.score_group), col(Score.value)).where(col(Score.contact_id) == contact_id))
    return dict(sorted((group, value) for group, value in rows))


def reached_by(session: Session, contact_id: str) -> list[Reached]:
    """The thresholds that a contact is at or above, newest first."""
    models = table(ScoreModel)
    wanted = select(models.c.key, models.c.definition, reached.c.threshold, reached.c.since).join_from(
        reached, models, models.c.id == reached.c.model_id
    )
    rows = on(session).execute(
        wanted.where(reached.c.contact_id == contact_id, models.c.state != EMPTYING).order_by(reached.c.since.desc())
    )
    found = []
    for key, definition, threshold, since in rows:
        named = {one.id: one for one in definition_of(definition).thresholds}
        if threshold in named:
            found.append(Reached(key, threshold, named[threshold].name, named[threshold].group, since))
    return found


def grade_of_contact(session: Session, contact_id: str) -> str | None:
    """`A1` to `D4`, None without one."""
    found: str | None = on(session).execute(select(contacts.c.grade).where(contacts.c.id == contact_id)).scalar()
    return found


def history(session: Session, contact_id: str, before: int | None = None, limit: int = 50) -> list[ScoreChange]:
    """Rows of a contact's history, newest first."""
    wanted = select(ScoreChange).where(col(ScoreChange.contact_id) == contact_id)
    if before is not None:
        wanted = wanted.where(col(ScoreChange.id) < before)
    return list(session.scalars(wanted.order_by(col(ScoreChange.id).desc()).limit(limit)))
