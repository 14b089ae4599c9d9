"""Scoring models as people make them: created, changed, switched and deleted, with every change audited. Who gets points is `booking`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.jobs import add_job
from crm.rules.askable import askable
from crm.scoring import booked
from crm.segments.circles import MODEL, circle
from crm.segments.segments import hangs_on
from journeys.contact_rules import Askable, checked, missing
from journeys.errors import Conflict, Invalid, Issue, NotFound, refuse
from journeys.keys import key_of, key_problems, name_problems
from journeys.reading import issues_of
from journeys.scoring import Definition
from journeys.scoring.model import ACTIONS, GRADE_TOPIC
from journeys.spelling import one_line
from models import Job, Journey, Member, Rotation, ScoreModel, lock
from storage import segment_marks
from workspace.audit import record

MOST = 50
"""Models of a workspace."""
SCORE, EMPTY = "score_fill", "score_empty"
"""The kinds of job that score everybody by a new version, and that take back what a model gave."""
ON, SCORING, OFF, EMPTYING = "on", "scoring", "off", "emptying"
MOST_RECORDED = 12_000
"""Bytes of a definition that a line of the audit holds."""
MOST_KEY = 48
"""Characters of a key, which is part of the names of rows that a model writes."""


def get(session: Session, key: str) -> ScoreModel:
    """Raises:
    NotFound: there is no such model."""
    found: ScoreModel | None = session.scalar(select(ScoreModel).where(col(ScoreModel.key) == key, col(ScoreModel.state) != EMPTYING))
    if found is None:
        raise NotFound("There is no scoring model “{key}”.", key=key[:64])
    return found


def id_of(model: ScoreModel) -> int:
    assert model.id is not None, "it is stored"
    return model.id


def listed(session: Session) -> list[ScoreModel]:
    """All of them, by name."""
    there = select(ScoreModel).where(col(ScoreModel.state) != EMPTYING)
    return list(session.scalars(there.order_by(func.lower(col(ScoreModel.name)), col(ScoreModel.key))))


def job_of(session: Session, row: ScoreModel) -> Job | None:
    """The newest job that scores everybody, or takes points back; None where there was none."""
    return None if row.job is None else session.get(Job, row.job)


def create(
    session: Session,
    name: str,
    definition: Mapping[str, Any],
    by: str,
    now: datetime,
    *,
    key: str = "",
    description: str = "",
    on: bool = True,
    announce: bool = False,
) -> ScoreModel:
    """A new model; an empty key is made of the name. Where it is on, everybody is scored in the background; thresholds act and events are told by
    that only if `announce` asks for it.

    Raises:
        Invalid: lists every problem of name, key and definition.
        Conflict: the key is taken, or there are `MOST`.
    """
    segment_marks.changed(session)  # others who change models or segments wait: limits, keys and circles are asked of what is committed
    present = set(session.scalars(select(col(ScoreModel.key))))
    if len(present) >= MOST:
        raise Conflict("Expected at most {limit} scoring models.", limit=MOST)
    if key in present:
        raise Conflict("There is a scoring model “{key}” already.", key=key)
    key = key or key_of(name[:40], present, "scoring", "-")
    row = ScoreModel(key=key, name=one_line(name), description=one_line(description), created_at=now, created_by=by[:120], updated_at=now)
    row.state = OFF
    refuse(_problems(row))
    _take(row, read_definition(session, definition, key))
    session.add(row)
    session.flush()
    record(session, by, "scoring.create", f"scoring:{key}", {"name": row.name, "definition": _recorded(row.definition)})
    if on:
        _score(session, row, by, now, announce)
    return row


def change(
    session: Session,
    key: str,
    by: str,
    now: datetime,
    *,
    name: str | None = None,
    description: str | None = None,
    definition: Mapping[str, Any] | None = None,
    on: bool | None = None,
    announce: bool = False,
    version: int | None = None,
) -> ScoreModel:
    """Changes what is not None. Another definition, or switching it on, scores everybody anew in the background; switched off, what it gave is taken
    back. `version`: the one that was looked at.

    Raises:
        NotFound. Invalid: lists every problem. Conflict: there is a newer version than `version`.
    """
    row = _locked(session, key)
    if version is not None and version != row.version:
        raise Conflict("Someone else has changed this scoring model in the meantime: it is at version {version}.", version=row.version)
    earlier = row.definition
    before = {"name": row.name, "description": row.description, "definition": earlier, "on": row.state != OFF}
    row.name = row.name if name is None else one_line(name)
    row.description = row.description if description is None else one_line(description)
    refuse(_problems(row))
    was_on = row.state != OFF
    turned = on is not None and on is not was_on
    read = read_definition(session, row.definition if definition is None else definition, key) if definition is not None or turned else None
    is_other = read is not None and read.as_json() != row.definition
    if read is not None:
        kept = {GRADE_TOPIC} & set(row.gives)  # until everybody is scored anew, or all is taken back, grades of the old version are there
        _take(row, read)
        row.gives = sorted({*row.gives, *kept})
    row.updated_at = now
    session.add(row)
    after = {"name": row.name, "description": row.description, "definition": row.definition, "on": was_on if on is None else on}
    told = {field: value for field, value in before.items() if after[field] != value}
    if "definition" in told:
        told["definition"] = _recorded(earlier)
    if turned or is_other:
        row.version += 1
    if told:
        record(session, by, "scoring.change", f"scoring:{key}", {"before": told, "version": row.version})
    if on is False and was_on:
        _empty(session, row, OFF, by, now)
    elif after["on"] and (turned or is_other):
        _score(session, row, by, now, announce)
    return row


def rescore(session: Session, key: str, by: str, now: datetime, *, announce: bool = False) -> ScoreModel:
    """Scores everybody again: after a job that failed.

    Raises:
        NotFound. Conflict: it is off.
    """
    row = _locked(session, key)
    if row.state == OFF:
        raise Conflict("This scoring model is off: it gives no points.")
    row.version += 1
    _score(session, row, by, now, announce)
    return row


def remove(session: Session, key: str, by: str, now: datetime) -> None:
    """Deletes a model: its key is free from now on, and what it gave is taken back in the background; the history of scores stays.

    Raises:
        NotFound.
    """
    row = _locked(session, key)
    record(session, by, "scoring.delete", f"scoring:{key}", {"name": row.name, "definition": _recorded(row.definition)})
    row.key, row.version = f"~{row.id}", row.version + 1
    _empty(session, row, EMPTYING, by, now)


def known(row: ScoreModel) -> segment_marks.KnownModel:
    """A stored model as evaluation takes it."""
    topics, gives = frozenset(row.topics), frozenset(row.gives)
    return segment_marks.KnownModel(id_of(row), row.key, row.definition, topics, gives, row.version, False)


def _recorded(definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """As the audit keeps it; None where it is larger than a line there may be."""
    return definition if len(orjson.dumps(definition)) <= MOST_RECORDED else None


# Definitions


def read_definition(session: Session, data: Mapping[str, Any], key: str = "") -> Definition:
    """The definition in JSON, checked: its rules are asked of contacts, name what there is, and do not lead back to the model's own points.

    Raises:
        Invalid: lists every problem, with its place (`rules.0.rule.field`).
    """
    refuse(_wrong_actions(data))
    try:
        read = Definition.model_validate(data)
    except ValidationError as error:
        raise Invalid("This is no scoring model.", issues_of(error, data)) from None
    refuse(one for one in _unasked(session, read) if one.severity == "error")
    refuse([*_own_points(read), *_second_grade(session, read, key)])
    gives, asks = gives_of(read), _hangs_on(read).difference(gives_of(read))
    refuse(circle(session, f"{MODEL}{key}", gives, asks, "rules") if key else ())
    return read


def _wrong_actions(data: Mapping[str, Any]) -> Iterator[Issue]:
    """Their forms are those of steps, so their problems are told in the same words."""
    thresholds = data.get("thresholds")
    for n, threshold in enumerate(thresholds if isinstance(thresholds, list | tuple) else ()):
        actions = threshold.get("actions") if isinstance(threshold, Mapping) else None
        for m, action in enumerate(actions if isinstance(actions, list | tuple) else ()):
            kind = ACTIONS.get(str(action.get("kind"))) if isinstance(action, Mapping) else None
            if kind is None:
                continue
            fields = {name: value for name, value in action.items() if name != "kind"}
            try:
                kind.model_validate(fields)
            except ValidationError as error:
                for one in issues_of(error, fields, schema=kind.model_json_schema()):
                    yield _placed(one, f"thresholds.{n}.actions.{m}")


def _placed(issue: Issue, path: str) -> Issue:
    return issue.model_copy(update={"field": ".".join(part for part in (path, issue.field) if part)})


def _unasked(session: Session, read: Definition) -> Iterator[Issue]:
    """What rules and actions name and there is not."""
    offers = askable(session)
    for n, rule in enumerate(read.rules):
        yield from _wrong_rule(rule.rule, rule.event, rule.where, offers, f"rules.{n}")
    groups = dict(offers.names)["score"]
    for place, group in read.named_groups():
        if group not in groups:
            yield missing("score", group, groups, place)
    names = _names(session, offers)
    for n, threshold in enumerate(read.thresholds):
        for m, action in enumerate(threshold.actions):
            place = f"thresholds.{n}.actions.{m}"
            yield from (_placed(one, place) for one in action.problems(""))
            for path, noun, name in action.references():
                if noun in names and name not in names[noun]:
                    yield missing(noun, name, names[noun], f"{place}.{path}")


def _wrong_rule(rule: Any, event: str | None, where: Any, offers: Askable, place: str) -> Iterator[Issue]:
    if event is None:
        _, issues = checked(rule, offers, f"{place}.rule")
        yield from issues
        return
    if where is not None:
        _, issues = checked({"event": event, "where": where}, offers, place)
        yield from issues


def _names(session: Session, offers: Askable) -> Mapping[str, frozenset[str]]:
    catalogue = offers.catalogue
    fields = frozenset(catalogue.fields)
    return {
        "pool": frozenset(session.scalars(select(col(Rotation.pool)))),
        "member": frozenset(session.scalars(select(col(Member.id)).where(col(Member.active)))),
        "journey": frozenset(session.scalars(select(col(Journey.key)))),
        "field": fields,
    }


def _own_points(read: Definition) -> Iterator[Issue]:
    """A rule that asks for the scores or the grade which its own model gives: points would lead to points."""
    gives = gives_of(read)
    for n, rule in enumerate(read.rules):
        if hangs_on(rule.asked) & gives:
            text = "A rule cannot ask for a score or grade that its own scoring model gives."
            yield Issue(code="scoring_circle", text=text, field=f"rules.{n}")


def _second_grade(session: Session, read: Definition, key: str) -> Iterator[Issue]:
    if read.grading is None:
        return
    others = [one for one in segment_marks.known(session).models.values() if one.key != key and GRADE_TOPIC in one.gives]
    for other in others:
        text = "The scoring model “{name}” gives the grade already, and a contact has one."
        yield Issue(code="second_grade", text=text, values={"name": other.key}, field="grading")


def gives_of(read: Definition) -> frozenset[str]:
    """The topics of what a model changes."""
    return frozenset(f"score:{group}" for group in read.groups()) | ({GRADE_TOPIC} if read.grading is not None else frozenset())


def _hangs_on(read: Definition) -> frozenset[str]:
    asked = frozenset[str]().union(*(hangs_on(rule.asked) for rule in read.rules if rule.stands))
    return read.topics() | asked


def _take(row: ScoreModel, read: Definition) -> None:
    row.definition, row.topics, row.gives = read.as_json(), sorted(_hangs_on(read)), sorted(gives_of(read))


# What is shared


def _score(session: Session, row: ScoreModel, by: str, now: datetime, announce: bool) -> None:
    input = {"model": row.id, "version": row.version}
    row.state, row.announce, row.job = SCORING, announce, add_job(session, SCORE, f"scoring:{row.key}", input, by, now).id
    session.add(row)


def _empty(session: Session, row: ScoreModel, state: str, by: str, now: datetime) -> None:
    total = booked.count_of(session, id_of(row))
    input = {"model": row.id, "version": row.version}
    row.state, row.job = state, add_job(session, EMPTY, f"scoring:{row.key}", input, by, now, total).id
    session.add(row)


def _locked(session: Session, key: str) -> ScoreModel:
    row = get(session, key)
    found: ScoreModel | None = session.scalar(
        lock(session, select(ScoreModel).where(col(ScoreModel.id) == row.id)), execution_options={"populate_existing": True}
    )
    if found is None or found.state == EMPTYING:
        raise NotFound("There is no scoring model “{key}”.", key=key[:64])
    segment_marks.changed(session)  # as in `create`: what was asked before may have changed while we waited
    return found


def _problems(row: ScoreModel) -> Iterator[Issue]:
    yield from key_problems(row.key, MOST_KEY)
    yield from name_problems(row.name)
    if len(row.description) > 500:
        yield Issue(code="description", text="At most {max_length} characters.", values={"max_length": 500}, field="description")
