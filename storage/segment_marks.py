"""Marks: which contacts have to be asked again whether they are in a segment, or scored anew, written by the transaction that changed something.

Each process keeps in memory which segments and scoring models hang on which topic and compares one number a transaction (`storage.freshness`), so that an event
that concerns none of them costs a look into a dict. Who evaluates marks is `crm.segments.evaluation`.

The holder of a contact's lock marks it; whoever evaluates takes the lock first, so no change falls between. A mark that is there already is
touched all the same: on PostgreSQL this keeps it from being taken away before the change it stands for is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, and_, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from journeys.topics import is_whole, of_segment, topics_of
from models import ScoreModel, Segment, SegmentMark
from storage import freshness
from storage.freshness import bump, is_changing
from storage.sql import on, table

SEGMENTS = "segments"
"""The number that grows with every change of a segment or a scoring model."""
NEW = "contact"
"""The topic under which somebody new is told: segments hang on it that may take in whoever has done nothing."""
ANYTHING = "*"
"""The topic on which every live segment hangs."""
EMPTYING = "emptying"
_SILENT = "segments marked silently"

segments = table(Segment)
marks = table(SegmentMark)
models = table(ScoreModel)

_scoring = select(*(models.c[name] for name in ("id", "key", "definition", "topics", "gives", "version", "state", "announce"))).where(
    models.c.state.in_(("on", "scoring"))
)
_all = select(*(segments.c[name] for name in ("id", "key", "name", "kind", "rule", "topics", "version", "state"))).where(
    segments.c.state != EMPTYING
)


@dataclass(frozen=True, slots=True)
class KnownSegment:
    """A segment as it was when it was read. `rank`: greater than that of every segment its rule asks for."""

    id: int
    key: str
    name: str
    kind: str
    rule: Mapping[str, Any] | None
    topics: frozenset[str]
    version: int
    state: str
    rank: int = 0


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A scoring model that gives points, as it was when it was read. `gives`: the topics of what it changes. `is_open`: changes are told."""

    id: int
    key: str
    definition: Mapping[str, Any]
    topics: frozenset[str]
    gives: frozenset[str]
    version: int
    is_open: bool
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """All segments and scoring models at one freshness number; of the topics only those that live segments (`by_topic`) or models
    (`models_by_topic`) hang on. `topics`: all of these."""

    number: int = -1
    by_id: Mapping[int, KnownSegment] = field(default_factory=dict)
    by_key: Mapping[str, KnownSegment] = field(default_factory=dict)
    by_topic: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    models: Mapping[int, KnownModel] = field(default_factory=dict)
    models_by_topic: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()

    def hanging_on(self, topics: Collection[str]) -> set[int]:
        """The ids of the segments that a change under any of the topics concerns."""
        if ANYTHING in topics:
            return set(self.live())
        return {id for topic in topics for id in self.by_topic.get(topic, ())}

    def scored_on(self, topics: Collection[str]) -> set[int]:
        """The ids of the scoring models that a change under any of the topics concerns."""
        if ANYTHING in topics:
            return set(self.models)
        return {id for topic in topics for id in self.models_by_topic.get(topic, ())}

    def live(self) -> list[int]:
        """The ids of those that a rule decides."""
        return [one.id for one in self.by_id.values() if one.rule is not None]


_memory: WeakKeyDictionary[Engine, Known] = WeakKeyDictionary()


def known(session: Session) -> Known:
    """The segments as this transaction sees them."""
    number, engine = freshness.freshness(session, SEGMENTS), session.get_bind().engine
    if is_changing(session, SEGMENTS):
        return _load(session, number)
    found = _memory.get(engine)
    if found is None or found.number != number:
        found = _memory[engine] = _load(session, number)
    return found


def changed(session: Session) -> None:
    """Tells every process that segments were made, changed or deleted, when this transaction commits; until then whoever else changes some waits."""
    session.flush()
    bump(session, SEGMENTS)


def hold(session: Session) -> None:
    """Until this transaction ends nobody makes, changes or deletes a segment: for whoever stores something that asks for one."""
    session.flush()
    freshness.hold(session, SEGMENTS)


@contextmanager
def silently(session: Session) -> Iterator[None]:
    """Of what is marked inside nobody is told."""
    before = session.info.get(_SILENT, False)
    session.info[_SILENT] = True
    try:
        yield
    finally:
        session.info[_SILENT] = before


def is_silent(session: Session) -> bool:
    """Whether we are inside `silently`."""
    return bool(session.info.get(_SILENT, False))


def mark_events(session: Session, rows: Collection[Mapping[str, Any]]) -> None:
    """Marks the contacts of events that are stored in this transaction, each with the topics that segments hang on. Rows are those of the table."""
    hanging = known(session).topics
    if not hanging:
        return
    wanted = _Wanted()
    for row in rows:
        said = (row["type"], row["name"], row["properties"])
        for topic in topics_of(*said) & hanging if is_whole(*said) else {ANYTHING}:
            wanted.add(row["contact_id"], topic, row["received_at"], row["backfill"], row["hops"])
    wanted.write(session)


def mark(
    session: Session, contact_ids: Iterable[str], topics: Collection[str], now: datetime, *, silent: bool = False, hops: int = 0
) -> None:
    """Marks contacts with those of the topics that segments hang on. `silent`: nobody is told of what comes of it."""
    _mark(session, contact_ids, known(session).topics & set(topics), now, silent, hops)


def mark_for_all(session: Session, contact_ids: Iterable[str], now: datetime, *, silent: bool = False) -> None:
    """Marks contacts for every live segment: after a merge, anything may be different."""
    _mark(session, contact_ids, {ANYTHING} if known(session).topics else (), now, silent, 0)


def mark_new(session: Session, contact_ids: Iterable[str], now: datetime, *, silent: bool = False) -> None:
    """Marks contacts that this transaction has made."""
    mark(session, contact_ids, {NEW}, now, silent=silent)


def _mark(session: Session, contact_ids: Iterable[str], topics: Collection[str], now: datetime, silent: bool, hops: int) -> None:
    if not topics:
        return
    wanted = _Wanted()
    for contact_id in contact_ids:
        for topic in topics:
            wanted.add(contact_id, topic, now, silent, hops)
    wanted.write(session)


class _Wanted:
    """(contact, topic) -> (first and last change, silent, hops), each once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[datetime, datetime, bool, int]] = {}

    def add(self, contact_id: str, topic: str, at: datetime, silent: bool, hops: int) -> None:
        first, last, told, most = self._rows.get((contact_id, topic), (at, at, silent, hops))
        self._rows[contact_id, topic] = (min(first, at), max(last, at), told and silent, max(most, hops))

    def write(self, session: Session) -> None:
        """In the order of contacts, so that two transactions never wait for each other."""
        all_silent = is_silent(session)
        rows = [
            {"contact_id": contact_id, "topic": topic, "marked_at": first, "newest_at": last, "silent": silent or all_silent, "hops": hops}
            for (contact_id, topic), (first, last, silent, hops) in sorted(self._rows.items())
        ]
        if rows:
            on(session).execute(_put(session.get_bind().dialect.name), rows)


@cache
def _put(dialect: str) -> Any:
    make: Callable[..., Any] = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(marks)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["contact_id", "topic"],
        set_={
            "silent": and_(marks.c.silent, new.silent),
            "newest_at": case((new.newest_at > marks.c.newest_at, new.newest_at), else_=marks.c.newest_at),
            "hops": case((new.hops > marks.c.hops, new.hops), else_=marks.c.hops),
        },
    )


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Takes the marks of contacts away that are nobody any more."""
    on(session).execute(delete(marks).where(marks.c.contact_id.in_(list(contact_ids))))


# Reading


def _load(session: Session, number: int) -> Known:
    session.flush()
    rows = {row.key: row for row in on(session).execute(_all.order_by(segments.c.id)).all()}
    scoring = on(session).execute(_scoring.order_by(models.c.id)).all()
    gives = {row.id: frozenset(row.gives) for row in scoring}
    ranks = _ranks(
        {
            **{of_segment(key): ({of_segment(key)}, set(row.topics)) for key, row in rows.items()},
            **{f"model:{row.id}": (gives[row.id], asks_of(row.topics, gives[row.id])) for row in scoring},
        }
    )
    found = [
        KnownSegment(row.id, key, row.name, row.kind, row.rule, frozenset(row.topics), row.version, row.state, ranks[of_segment(key)])
        for key, row in rows.items()
    ]
    given = [
        KnownModel(
            row.id,
            row.key,
            row.definition,
            frozenset(row.topics),
            gives[row.id],
            row.version,
            row.state == "on" or row.announce,
            ranks[f"model:{row.id}"],
        )
        for row in scoring
    ]
    by_topic = _hanging((one.id, one.topics) for one in found if one.rule is not None)
    models_by_topic = _hanging((one.id, one.topics) for one in given)
    return Known(
        number,
        {one.id: one for one in found},
        {one.key: one for one in found},
        by_topic,
        {one.id: one for one in given},
        models_by_topic,
        frozenset((*by_topic, *models_by_topic)),
    )


def asks_of(topics: Iterable[str], gives: Collection[str]) -> set[str]:
    """What of its topics a model waits for: all but what it changes itself, of which it asks for thresholds and grades when that is done."""
    return set(topics).difference(gives)


def _hanging(asked: Iterable[tuple[int, Iterable[str]]]) -> dict[str, tuple[int, ...]]:
    by_topic: dict[str, list[int]] = {}
    for id, topics in asked:
        for topic in topics:
            by_topic.setdefault(topic, []).append(id)
    return {topic: tuple(ids) for topic, ids in by_topic.items()}


def _ranks(nodes: Mapping[str, tuple[Collection[str], Collection[str]]]) -> dict[str, int]:
    """Name -> how deep it leads into others; each is (topics it changes, topics it asks). There are no circles (`crm.segments.circles`)."""
    givers: dict[str, list[str]] = {}
    for name, (gives, _) in nodes.items():
        for topic in gives:
            givers.setdefault(topic, []).append(name)
    inner = {name: {giver for topic in asks for giver in givers.get(topic, ())} for name, (_, asks) in nodes.items()}
    outer: dict[str, list[str]] = {name: [] for name in nodes}
    for name, asked in inner.items():
        for one in asked:
            outer[one].append(name)
    ranks, open = dict.fromkeys(nodes, 0), {name: len(asked) for name, asked in inner.items()}
    ready = [name for name, number in open.items() if number == 0]
    for name in ready:  # it grows: a chain of hundreds would be too deep for functions that call themselves
        for one in outer[name]:
            ranks[one], open[one] = max(ranks[one], ranks[name] + 1), open[one] - 1
            if open[one] == 0:
                ready.append(one)
    return ranks
