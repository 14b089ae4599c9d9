"""One contact's story: events, messages, decisions of runs, consents, notes and whatever else happened, in one order, newest first, in pages.

Each kind is asked by its own index for the few rows that the page can show, and those are merged by time: what a page costs does not grow with
what the contact has done.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import Session

from journeys.errors import Invalid
from models import Consent, Event, Merge, Message, Note, Refusal, Run, ScoreChange, TaskChange, Trail
from models import Task as TaskModel
from storage.json_values import MAX_INTEGER, clean_text
from storage.sql import table

MAX_PAGE = 200
SEARCHED = 20_000
"""So many rows of a kind a search looks at, the newest of those before the page."""

events, messages, trail, runs = table(Event), table(Message), table(Trail), table(Run)
consents, refusals, tasks, changes = table(Consent), table(Refusal), table(TaskModel), table(TaskChange)
points, merges, notes = table(ScoreChange), table(Merge), table(Note)


@dataclass(frozen=True, slots=True)
class Item:
    """`kind` is one of `KINDS`; `data` what is known about it."""

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


def _notes(kind: str) -> _Source:
    said = (notes.c.text, notes.c.outcome) if kind == "call" else (notes.c.text,)
    return _Source(kind, lambda id: select(notes).where(notes.c.contact_id == id, notes.c.kind == kind), notes.c.at, (notes.c.id,), said)


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
    *(_notes(kind) for kind in ("note", "call")),
    _Source("merge", lambda id: select(merges).where(merges.c.winner_id == id), merges.c.merged_at, (merges.c.id,), (merges.c.reason,)),
)
KINDS = tuple(source.kind for source in _SOURCES)
_BY_KIND = {source.kind: source for source in _SOURCES}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a story: `kinds` of things, those with `text` in what is said of them, and those since `since` and before `until`.
    What is left out asks for nothing."""

    kinds: Sequence[str] = KINDS
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


def timeline(
    session: Session, contact_id: str, *, before: str | None = None, at: str | None = None, limit: int = 50, wanted: Wanted = Wanted()
) -> TimelinePage:
    """A page of the story; pages neither overlap nor leave anything out, also where many things share an instant. It begins after the mark
    `before`, or with the thing that the mark `at` names. `wanted.text` must stand in what is said of it: an event's name, a subject, a step, a
    title, a note, a source or a reason.

    Raises:
        Invalid: a mark is none that this module gave out, or a kind is unknown.
    """
    if unknown := set(wanted.kinds) - set(KINDS):
        raise Invalid("Expected kinds out of {kinds}, got: {unknown}.", kinds=list(KINDS), unknown=", ".join(sorted(unknown))[:100])
    limit = max(1, min(limit, MAX_PAGE))
    begin = _Begin(_read_mark(at), True) if at else _Begin(_read_mark(before), False) if before else None
    asked = replace(wanted, text=clean_text(wanted.text).strip())
    parts = [_part(session, _BY_KIND[kind], contact_id, begin, limit + 1, asked) for kind in KINDS if kind in wanted.kinds]
    items = list(islice(heapq.merge(*parts, key=_order, reverse=True), limit + 1))
    page = items[:limit]
    return TimelinePage(page, mark_of(page[-1]) if len(items) > limit else None)


def _order(item: Item) -> tuple[datetime, str, tuple[str | int, ...]]:
    return (item.at, item.kind, item.key)


@dataclass(frozen=True, slots=True)
class _Begin:
    """Where a page begins: after `mark`, or (`with_it`) with what it names."""

    mark: Item
    with_it: bool


def _part(session: Session, source: _Source, contact_id: str, begin: _Begin | None, limit: int, wanted: Wanted) -> list[Item]:
    statement = source.rows(contact_id).order_by(source.at.desc(), *(column.desc() for column in source.key))
    if begin is not None:
        statement = statement.where(source.at <= begin.mark.at)  # bounds what an index reads; the rest decides at the same instant
        statement = statement.where(_from(source, begin))
    if wanted.since is not None:
        statement = statement.where(source.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(source.at < wanted.until)
    if wanted.text:
        return _searched(session, source, statement, wanted.text, limit)
    return [_item(source, row) for row in session.execute(statement.limit(limit))]


def _from(source: _Source, begin: _Begin) -> ColumnElement[bool]:
    earlier = _earlier(source, begin.mark)
    if not begin.with_it or source.kind != begin.mark.kind:
        return earlier
    named = (column == value for column, value in zip(source.key, begin.mark.key, strict=True))
    return or_(earlier, and_(source.at == begin.mark.at, *named))


def _searched(session: Session, source: _Source, statement: Select[Any], text: str, limit: int) -> list[Item]:
    """The first that say the text, of the newest `SEARCHED` rows."""
    rows = statement.limit(SEARCHED).subquery()
    said = or_(*(rows.c[column.name].icontains(text, autoescape=True) for column in source.said))
    order = (rows.c[source.at.name].desc(), *(rows.c[column.name].desc() for column in source.key))
    return [_item(source, row) for row in session.execute(select(rows).where(said).order_by(*order).limit(limit))]


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


def mark_of(item: Item) -> str:
    """What names the thing in an address, and where a page after it begins."""
    return base64.urlsafe_b64encode(orjson.dumps([item.at.isoformat(), item.kind, *item.key])).decode()


def _read_mark(text: str) -> Item:
    try:
        at, kind, *key = orjson.loads(base64.urlsafe_b64decode(text.encode()))
        source = _BY_KIND[kind]
        if len(key) != len(source.key) or not all(map(_fits, key, source.key)):
            raise ValueError("wrong key")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return Item(moment, kind, tuple(key), {})
    except (ValueError, TypeError, KeyError):
        raise Invalid("This cursor does not belong to this timeline; start again without it.") from None


def _fits(part: Any, column: ColumnElement[Any]) -> bool:
    if column.type.python_type is int:
        return type(part) is int and 0 <= part <= MAX_INTEGER
    return isinstance(part, str) and "\x00" not in part
