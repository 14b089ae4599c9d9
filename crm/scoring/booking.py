"""Books what a model should have given: the difference to what it has, as rows of the history, and what comes of it.

A score is the sum of its history, whoever wrote it: rules here, steps and people in `crm.people.scores`. Only differences are booked, under the
contact's lock, in one transaction with thresholds, grade and events. So whatever is done twice changes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from crm.people.scores import MAX_SCORE
from crm.rules.crowd_facts import Crowd
from crm.scoring import booked, grades
from crm.scoring.actions import Start, perform
from crm.scoring.targets import Given, definition_of, targets
from journeys.scoring import Definition, ScoringRule, Threshold
from journeys.scoring.model import GRADE_FIELD, GRADE_TOPIC
from models import Event, Score, ScoreChange, ScoreReached
from storage import segment_marks
from storage.events import append_event
from storage.segment_marks import KnownModel
from storage.sql import insert_new, on, table, upsert

changes, flips, reached = table(ScoreChange), booked.flips, booked.reached
rows = booked.booked

NOTHING = Definition()


@dataclass(slots=True)
class Scored:
    """What changed: (contact, topic) of every score and grade, rows booked, thresholds crossed upwards; `events` are stored and not yet routed,
    `starts` are journeys that thresholds begin."""

    changed: set[tuple[str, str]] = field(default_factory=set)
    rows: int = 0
    crossed: int = 0
    events: list[Event] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    reached: list[tuple[str, str, str]] = field(default_factory=list)
    """(model, threshold, its name) of which the team shall hear, once for each contact."""


def book(
    session: Session,
    model: KnownModel,
    ids: Sequence[str],
    crowd: Crowd,
    now: datetime,
    hops: Mapping[str, int],
    why: str = "",
) -> Scored:
    """Scores `ids`, who are living, locked and in the crowd. `hops`: of those of whom is told; of the others nobody hears.
    `why`: what the history says of all rows, where it is not what happened (`changed`: the model)."""
    return _Booking(session, model, definition_of(model.definition), ids, crowd, now, hops, why).done()


def take_back(session: Session, model: KnownModel, ids: Sequence[str], crowd: Crowd, now: datetime) -> Scored:
    """All that the model has given them, silently."""
    return _Booking(session, model, NOTHING, ids, crowd, now, {}, "changed").done()


class _Booking:
    def __init__(
        self,
        session: Session,
        model: KnownModel,
        definition: Definition,
        ids: Sequence[str],
        crowd: Crowd,
        now: datetime,
        hops: Mapping[str, int],
        why: str,
    ) -> None:
        self.session, self.model, self.definition, self.ids, self.crowd = session, model, definition, ids, crowd
        self.now, self.hops, self.why = now, hops, why
        self.rules = {one.id: one for one in definition.rules}
        self.found = Scored()
        self.before: dict[tuple[str, str], float] = {}
        self.rows: list[dict[str, Any]] = []
        self.given: list[dict[str, Any]] = []

    def done(self) -> Scored:
        wanted = targets(self.session, self.definition, self.ids, self.crowd, self.now)
        had = self._had()
        for id in self.ids:
            self._difference(id, wanted.points[id], had.get(id, {}))
        self._write()
        self._plan(wanted.next_at)
        self._tell()
        self._thresholds()
        self._grades()
        return self.found

    def _had(self) -> dict[str, dict[Given, float]]:
        mine = (rows.c.model_id == self.model.id, rows.c.contact_id.in_(list(self.ids)))
        columns = (rows.c.contact_id, rows.c.rule, rows.c.score_group, rows.c.points)
        found: dict[str, dict[Given, float]] = {}
        for id, rule, group, points in on(self.session).execute(select(*columns).where(*mine)):
            found.setdefault(id, {})[rule, group] = points
        return found

    def _difference(self, id: str, wanted: Mapping[Given, int], had: Mapping[Given, float]) -> None:
        for rule, group in sorted({*wanted, *had}):
            points = wanted.get((rule, group), 0) - had.get((rule, group), 0.0)
            before = self.crowd.scores.get((id, group), 0.0)
            after = max(-MAX_SCORE, min(MAX_SCORE, before + points))
            if after == before:
                continue
            self.before.setdefault((id, group), before)
            self.crowd.scores[id, group] = after
            whose = {"contact_id": id, "model_id": self.model.id, "rule": rule, "score_group": group, "points": after - before}
            self.given.append(whose)
            self.rows.append(whose | {"value": after, "reason": self._named(rule), "why": self._why(rule, points), "changed_at": self.now})

    def _named(self, rule: str) -> str:
        known = self.rules.get(rule)
        return "" if known is None else (known.name or known.event or "")[:200]

    def _why(self, rule: str, points: float) -> str:
        known: ScoringRule | None = self.rules.get(rule)
        if self.why or known is None:
            return "changed"
        grows = (points > 0) is (known.points > 0)
        if known.stands:
            return "holds" if grows else "ended"
        return "happened" if grows else "faded" if known.decay else "changed"

    def _write(self) -> None:
        if not self.rows:
            return
        on(self.session).execute(insert(changes), self.rows)
        booked.put(self.session, self.given)
        mine = (rows.c.model_id == self.model.id, rows.c.contact_id.in_({one["contact_id"] for one in self.given}))
        on(self.session).execute(delete(rows).where(*mine, rows.c.points == 0))
        statement = upsert(self.session, Score)
        new = {"value": statement.excluded.value, "changed_at": statement.excluded.changed_at}
        values = [
            {"contact_id": id, "score_group": group, "value": self.crowd.scores[id, group], "changed_at": self.now}
            for id, group in sorted(self.before)
        ]
        on(self.session).execute(statement.on_conflict_do_update(index_elements=["contact_id", "score_group"], set_=new), values)
        self.session.expire_all()
        self.found.rows = len(self.rows)
        self.found.changed.update((id, f"score:{group}") for id, group in self.before)

    def _plan(self, next_at: Mapping[str, datetime]) -> None:
        on(self.session).execute(delete(flips).where(flips.c.contact_id.in_(list(self.ids)), flips.c.model_id == self.model.id))
        rows = [{"contact_id": id, "model_id": self.model.id, "at": at} for id, at in sorted(next_at.items())]
        if rows:
            on(self.session).execute(insert(flips), rows)

    def _tell(self) -> None:
        for (id, group), before in sorted(self.before.items()):
            after = self.crowd.scores[id, group]
            if id in self.hops and after != before:
                said = {"group": group, "before": before, "after": after}
                self._append(id, "Score Changed", said)

    def _append(self, id: str, name: str, said: Mapping[str, Any]) -> None:
        source = source_of(self.model.key)
        self.found.events.append(
            append_event(self.session, id, "system", name, said, self.now, source=source, hops=self.hops[id], routed=True)
        )

    def _thresholds(self) -> None:
        mine = (reached.c.model_id == self.model.id, reached.c.contact_id.in_(list(self.ids)))
        had = {(id, name) for id, name in on(self.session).execute(select(reached.c.contact_id, reached.c.threshold).where(*mine))}
        limits = {one.id: one for one in self.definition.thresholds}
        is_over = {
            (id, one.id) for one in limits.values() for id in self.ids if self.crowd.scores.get((id, one.group), 0.0) >= one.at_least
        }
        for id, name in sorted(had - is_over):
            on(self.session).execute(delete(reached).where(*mine, reached.c.contact_id == id, reached.c.threshold == name))
        new = sorted(is_over - had)
        if new:
            rows = [{"contact_id": id, "model_id": self.model.id, "threshold": name, "since": self.now} for id, name in new]
            on(self.session).execute(insert_new(self.session, ScoreReached, ("contact_id", "model_id", "threshold")), rows)
        order = {name: place for place, name in enumerate(limits)}
        for id, name in sorted(new, key=lambda one: (one[0], order[one[1]])):
            if id in self.hops:
                self._cross(id, limits[name])
        self.found.crossed = len(new)

    def _cross(self, id: str, threshold: Threshold) -> None:
        done = perform(self.session, self.model, threshold, id, self.now, self.hops[id] + 1)
        said = {
            "model": self.model.key,
            "threshold": threshold.id,
            "name": threshold.name,
            "group": threshold.group,
            "value": self.crowd.scores.get((id, threshold.group), 0.0),
            "done": done.done,
            "failed": done.failed,
        }
        self._append(id, "Score Threshold Reached", said)
        self.found.events += done.events
        self.found.starts += done.starts
        if done.notify:
            self.found.reached.append((self.model.key, threshold.id, threshold.name or threshold.group))

    def _grades(self) -> None:
        grading = self.definition.grading
        if grading is None and (GRADE_TOPIC not in self.model.gives or self._another_grades()):
            return
        for id in grades.give(self.session, grading, self.ids, self.crowd, self.now):
            self.found.changed.add((id, GRADE_TOPIC))
            if id in self.hops:
                self._append(id, "Contact Changed", {"fields": [GRADE_FIELD]})

    def _another_grades(self) -> bool:
        """Whether the grade has become that of another model since this one gave it."""
        models = segment_marks.known(self.session).models.values()
        return any(GRADE_TOPIC in one.gives for one in models if one.id != self.model.id)


def source_of(key: str) -> str:
    """How events and the audit name a model."""
    return f"score:{key}"
