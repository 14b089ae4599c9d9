"""How many contacts came, stood and left at each step of a journey: appended as it happens, folded now and then, added up when asked.

Whoever moves a run appends one row of changes in its own transaction and touches no row that anybody else writes, so that counting never makes
two runs wait for each other. The keeper folds those rows into sums. A reader adds both: exact at every instant, and as cheap with
a million runs as with ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, case, cast, delete, insert, literal, null, select, union_all
from sqlalchemy.orm import Session

from models import Journey, Tally, TallyDay, TallyDelta, lock
from storage.sql import on, table, upsert

tallies = table(Tally)
deltas = table(TallyDelta)
days = table(TallyDay)
journeys = table(Journey)

Key = tuple[str, str, str] | tuple[str, str, str, str, int]
"""(node, what, outlet), of a message with its channel and the version of its template; see `models.Tally`."""

WAITING = "waiting"
"""How many stand at a step now: no flow, so it has no days."""

_before_days = journeys.c.dated_since > bindparam("happened_at", type_=journeys.c.dated_since.type)
_day = case((_before_days, null()), else_=bindparam("happened_on", type_=deltas.c.day.type))
_append = insert(deltas).values(
    journey_id=bindparam("of_journey"),
    version_number=bindparam("of_version"),
    day=select(_day).where(journeys.c.id == bindparam("of_journey")).scalar_subquery(),
    counts=bindparam("changes", type_=deltas.c.counts.type),
)
_nothing = literal("")
_of_journeys: BindParameter[Sequence[str]] = bindparam("of_journeys", expanding=True)
_sums = select(
    tallies.c.journey_id,
    tallies.c.version_number,
    tallies.c.node,
    tallies.c.what,
    tallies.c.outlet,
    tallies.c.count,
    cast(null(), deltas.c.counts.type),
).where(tallies.c.journey_id.in_(_of_journeys))
_fresh = select(deltas.c.journey_id, deltas.c.version_number, _nothing, _nothing, _nothing, literal(0), deltas.c.counts).where(
    deltas.c.journey_id.in_(_of_journeys)
)
_both = union_all(_sums, _fresh)
"""One statement, which sees one state: between two, a fold could count a row twice or not at all."""
_whole = union_all(_sums.where(tallies.c.node == ""), _fresh)
"""Only what concerns journeys as a whole."""
_of_days = (days.c.journey_id == bindparam("of_journey"), days.c.day >= bindparam("since"), days.c.day <= bindparam("until"))
_fresh_of_days = (deltas.c.journey_id == bindparam("of_journey"), deltas.c.day >= bindparam("since"), deltas.c.day <= bindparam("until"))
_dated = union_all(
    select(
        days.c.version_number,
        days.c.day,
        days.c.node,
        days.c.what,
        days.c.outlet,
        days.c.count,
        days.c.channel,
        days.c.template_version,
        cast(null(), deltas.c.counts.type),
    ).where(*_of_days),
    select(deltas.c.version_number, deltas.c.day, _nothing, _nothing, _nothing, literal(0), _nothing, literal(0), deltas.c.counts).where(
        *_fresh_of_days
    ),
)


@dataclass(slots=True)
class AtNode:
    """What happened at one step. `placed`: those who had entered it on a version that they were moved from, and are no second time in `entered`;
    `left`: outlet -> how often; `skipped`: reason -> how many messages were not sent."""

    waiting: int = 0
    entered: int = 0
    placed: int = 0
    left: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    opened: int = 0
    clicked: int = 0
    bounced: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """A journey in numbers. `runs` entered so far (without the hold-out), of them `ended` and at their `goal`; `held_out` and `held_out_goal`
    are the same of the control group; `refused`: reason -> times."""

    runs: int = 0
    ended: int = 0
    goal: int = 0
    held_out: int = 0
    held_out_goal: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    nodes: dict[str, AtNode] = field(default_factory=dict)

    @property
    def inside(self) -> int:
        return self.runs - self.ended

    def add(self, node: str, what: str, outlet: str, count: int) -> None:
        place = self.nodes.setdefault(node, AtNode()) if node else self
        present = getattr(place, what)
        if isinstance(present, Counter):
            present[outlet] += count
        else:
            setattr(place, what, present + count)


@dataclass(frozen=True, slots=True)
class Dated:
    """How often something happened on one day. `channel` is empty and `template_version` 0 for what is no message."""

    version_number: int
    day: date
    node: str
    what: str
    outlet: str
    count: int
    channel: str = ""
    template_version: int = 0


def append(session: Session, journey_id: str, version_number: int, changes: Mapping[Key, int], at: datetime) -> None:
    """Writes down what the transaction changes; zeros are left out. `at` is when it happened: what is taken back was counted on that day, or on none
    if days were not kept yet."""
    counts = [[*key[:3], count, *key[3:]] for key, count in changes.items() if count]
    if counts:
        happened = {"happened_at": at, "happened_on": day_of(at)}
        on(session).execute(_append, {"of_journey": journey_id, "of_version": version_number, "changes": counts, **happened})


def day_of(at: datetime) -> date:
    """The day in UTC: one that all workspaces agree on, and no clock change doubles or cuts short."""
    return at.astimezone(UTC).date()


def read(session: Session, journey_id: str, version_number: int | None = None) -> Counts:
    """The numbers of a journey now; of one version, or of all together."""
    found = Counts()
    for _, number, *sum, appended in on(session).execute(_both, {"of_journeys": [journey_id]}):
        if version_number in (None, number):
            for node, what, outlet, count, *_ in [sum] if appended is None else appended:
                found.add(node, what, outlet, count)
    found.nodes = {node: place for node, place in found.nodes.items() if place != AtNode()}
    return found


def read_all(session: Session, journey_ids: Sequence[str]) -> dict[str, Counts]:
    """Journey id -> its numbers as a whole, without those of its steps; one statement for a page of journeys."""
    found = {id: Counts() for id in journey_ids}
    for id, _, *sum, appended in on(session).execute(_whole, {"of_journeys": list(journey_ids)}):
        for node, what, outlet, count, *_ in [sum] if appended is None else appended:
            if not node:
                found[id].add(node, what, outlet, count)
    return found


def by_version(session: Session, journey_id: str) -> dict[int, Counts]:
    """Version number -> the numbers of the runs that are on it now, without those of its steps."""
    found: dict[int, Counts] = {}
    for _, number, *sum, appended in on(session).execute(_whole, {"of_journeys": [journey_id]}):
        for node, what, outlet, count, *_ in [sum] if appended is None else appended:
            if not node:
                found.setdefault(number, Counts()).add(node, what, outlet, count)
    return found


def read_days(session: Session, journey_id: str, since: date, until: date) -> list[Dated]:
    """What happened on each day from `since` to `until` (both included, UTC), in no order; the same key may come several times."""
    found: list[Dated] = []
    asked = {"of_journey": journey_id, "since": since, "until": until}
    for number, day, node, what, outlet, count, channel, template_version, appended in on(session).execute(_dated, asked):
        if appended is None:
            found.append(Dated(number, day, node, what, outlet, count, channel, template_version))
        else:
            found += [_dated_one(number, day, counted) for counted in appended if counted[1] != WAITING]
    return found


def _dated_one(version_number: int, day: date, counted: Sequence[Any]) -> Dated:
    node, what, outlet, count, *message = counted
    channel, template_version = message or ("", 0)
    return Dated(version_number, day, node, what, outlet, count, channel, template_version)


def first_day(session: Session, journey_id: str) -> date | None:
    """The first day something of a journey was counted on; what happened before days were kept has none."""
    kept = select(days.c.day).where(days.c.journey_id == journey_id).order_by(days.c.day).limit(1)
    fresh = select(deltas.c.day).where(deltas.c.journey_id == journey_id, deltas.c.day.is_not(None)).order_by(deltas.c.day).limit(1)
    found = [day for day in (on(session).execute(one).scalar() for one in (kept, fresh)) if day is not None]
    return min(found, default=None)


def fold(session: Session, limit: int = 500) -> int:
    """Moves the oldest appended rows into the sums; answers how many there were. Repeat until it answers less than `limit`.

    Rows are taken by id, never by position, so that one that is committed late is folded later and none is missed.
    """
    rows = on(session).execute(lock(session, select(deltas).order_by(deltas.c.id).limit(limit))).all()
    if not rows:
        return 0
    on(session).execute(delete(deltas).where(deltas.c.id.in_([row.id for row in rows])))
    sums: Counter[_Row] = Counter()
    by_day: Counter[_Row] = Counter()
    for row in rows:
        for node, what, outlet, count, *message in row.counts:
            sums[row.journey_id, row.version_number, node, what, outlet] += count
            if row.day is not None and what != WAITING:
                channel, template_version = message or ("", 0)
                by_day[row.journey_id, row.day, row.version_number, node, what, outlet, channel, template_version] += count
    _add(session, Tally, sums)
    _add(session, TallyDay, by_day)
    return len(rows)


_Row = tuple[Any, ...]


def _add(session: Session, model: type[Tally] | type[TallyDay], sums: Mapping[_Row, int]) -> None:
    names = [column.name for column in table(model).primary_key]
    statement = upsert(session, model)
    counted = table(model).c.count + statement.excluded.count
    rows = [{**dict(zip(names, key, strict=True)), "count": count} for key, count in sorted(sums.items()) if count]
    if rows:
        on(session).execute(statement.on_conflict_do_update(index_elements=names, set_={"count": counted}), rows)
