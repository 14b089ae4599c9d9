"""One contact's story: events, messages, decisions of runs, consents and refusals in one order, newest first, in pages."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import Session

from journeys.errors import Invalid
from models import Consent, Event, Merge, Message, Refusal, Run, ScoreChange, TaskChange, Trail
from models import Task as TaskModel
from storage.json_values import MAX_INTEGER, clean_text
from storage.sql import table

MAX_PAGE = 200

events, messages, trail, runs = table(Event), table(Message), table(Trail), table(Run)
consents, refusals, tasks, changes = table(Consent), table(Refusal), table(TaskModel), table(TaskChange)
points, merges = table(ScoreChange), table(Merge)


@dataclass(frozen=True, slots=True)
class Item:
    """`kind` is event, message, run, consent, refusal, task, score or merge; `data` what is known about it."""

    at: datetime
    kind: str
    key: tuple[str | int, ...]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """`next_before` goes into `before` of the next call; None when this is the end."""

    items: list[Item]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where items of one kind come from: rows with `at` and unique `key` columns."""

    kind: str
    rows: Callable[[str], Select[Any]]
    at: ColumnElement[datetime]
    key: tuple[ColumnElement[Any], ...]
    said: tuple[ColumnElement[Any], ...] = ()
    """What a search looks into."""


_SOURCES = (
    _Source("event", lambda id: select(events).where(events.c.contact_id == id), events.c.occurred_at, (events.c.id,), (events.c.name,)),
    _Source(
        "message",
        lambda id: select(messages).where(messages.c.contact_id == id),
        messages.c.planned_at,
        (messages.c.id,),
        (messages.c.subject,),
    ),
    _Source(
        "run",
        lambda id: (
            select(trail, runs.c.journey_id, runs.c.version_number).join(runs, runs.c.id == trail.c.run_id).where(runs.c.contact_id == id)
        ),
        trail.c.at,
        (trail.c.run_id, trail.c.step, trail.c.seq),
        (trail.c.node, trail.c.what),
    ),
    _Source(
        "consent",
        lambda id: select(consents).where(consents.c.contact_id == id),
        consents.c.recorded_at,
        (consents.c.id,),
        (consents.c.source, consents.c.wording),
    ),
    _Source(
        "refusal",
        lambda id: select(refusals).where(refusals.c.contact_id == id),
        refusals.c.refused_at,
        (refusals.c.id,),
        (refusals.c.reason,),
    ),
    _Source(
        "task",
        lambda id: (
            select(changes, tasks.c.title, tasks.c.run_id, tasks.c.node, tasks.c.note)
            .join(tasks, tasks.c.id == changes.c.task_id)
            .where(tasks.c.contact_id == id)
        ),
        changes.c.at,
        (changes.c.id,),
        (tasks.c.title,),
    ),
    _Source("score", lambda id: select(points).where(points.c.contact_id == id), points.c.changed_at, (points.c.id,), (points.c.reason,)),
    _Source("merge", lambda id: select(merges).where(merges.c.winner_id == id), merges.c.merged_at, (merges.c.id,), (merges.c.reason,)),
)
KINDS = tuple(source.kind for source in _SOURCES)


def timeline(
    session: Session, contact_id: str, *, before: str | None = None, limit: int = 50, kinds: Sequence[str] = KINDS, text: str = ""
) -> TimelinePage:
    """A page of the story; pages neither overlap nor leave anything out, also where many things share an instant. `text` must stand in
    what is said of it: an event's name, a subject, a step, a title, a source or a reason.

    Raises:
        Invalid: `before` is not a mark this function gave out, or a kind is unknown.
    """
    if unknown := set(kinds) - set(KINDS):
        raise Invalid("Expected kinds out of {kinds}, got: {unknown}.", kinds=list(KINDS), unknown=", ".join(sorted(unknown))[:100])
    limit = max(1, min(limit, MAX_PAGE))
    mark = _read_mark(before) if before else None
    parts = [_part(session, source, contact_id, mark, limit + 1, clean_text(text).strip()) for source in _SOURCES if source.kind in kinds]
    items = list(islice(heapq.merge(*parts, key=_order, reverse=True), limit + 1))
    page = items[:limit]
    return TimelinePage(page, _mark(page[-1]) if len(items) > limit else None)


def _order(item: Item) -> tuple[datetime, str, tuple[str | int, ...]]:
    return (item.at, item.kind, item.key)


def _part(session: Session, source: _Source, contact_id: str, mark: Item | None, limit: int, text: str) -> list[Item]:
    statement = source.rows(contact_id).order_by(source.at.desc(), *(column.desc() for column in source.key)).limit(limit)
    if mark is not None:
        statement = statement.where(_earlier(source, mark))
    if text:
        statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in source.said)))
    return [_item(source, row) for row in session.execute(statement)]


def _earlier(source: _Source, mark: Item) -> ColumnElement[bool]:
    if source.kind < mark.kind:
        return source.at <= mark.at
    if source.kind > mark.kind:
        return source.at < mark.at
    same: list[ColumnElement[bool]] = [source.at == mark.at]
    terms = [source.at < mark.at]
    for column, value in zip(source.key, mark.key, strict=True):
        terms.append(and_(*same, column < value))
        same.append(column == value)
    return or_(*terms)


def _item(source: _Source, row: Row[Any]) -> Item:
    data = dict(row._mapping)
    key = tuple(data[column.name] for column in source.key)
    return Item(data[source.at.name], source.kind, key, data)


def _mark(item: Item) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([item.at.isoformat(), item.kind, *item.key])).decode()


def _read_mark(text: str) -> Item:
    try:
        at, kind, *key = orjson.loads(base64.urlsafe_b64decode(text.encode()))
        source = next(source for source in _SOURCES if source.kind == kind)
        if len(key) != len(source.key) or not all(map(_fits, key, source.key)):
            raise ValueError("wrong key")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return Item(moment, kind, tuple(key), {})
    except (ValueError, TypeError, StopIteration):
        raise Invalid("This cursor does not belong to this timeline; start again without it.") from None


def _fits(part: Any, column: ColumnElement[Any]) -> bool:
    if column.type.python_type is int:
        return type(part) is int and 0 <= part <= MAX_INTEGER
    return isinstance(part, str) and "\x00" not in part
