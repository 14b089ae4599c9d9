"""How many contacts came, stood and left at each step of a journey: appended as it happens, folded now and then, added up when asked.

Whoever moves a run appends one row of changes in its own transaction and touches no row that anybody else writes, so that counting never makes
two runs wait for each other. The keeper folds those rows into sums. A reader adds both: exact at every instant, and as cheap with
a million runs as with ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import BindParameter, bindparam, cast, delete, insert, literal, null, select, union_all
from sqlalchemy.orm import Session

from models import Tally, TallyDelta, lock
from storage.sql import on, table, upsert

tallies = table(Tally)
deltas = table(TallyDelta)

Key = tuple[str, str, str]
"""(node, what, outlet); see `models.Tally`."""

_append = insert(deltas)
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
    """A journey in numbers. `runs` entered so far (without the hold-out), of them `ended` and at their `goal`; `refused`: reason -> times."""

    runs: int = 0
    ended: int = 0
    goal: int = 0
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


def append(session: Session, journey_id: str, version_number: int, changes: Mapping[Key, int]) -> None:
    """Writes down what the transaction changes; zeros are left out."""
    counts = [[*key, count] for key, count in changes.items() if count]
    if counts:
        on(session).execute(_append, {"journey_id": journey_id, "version_number": version_number, "counts": counts})


def read(session: Session, journey_id: str, version_number: int | None = None) -> Counts:
    """The numbers of a journey now; of one version, or of all together."""
    found = Counts()
    for _, number, *sum, appended in on(session).execute(_both, {"of_journeys": [journey_id]}):
        if version_number in (None, number):
            for node, what, outlet, count in [sum] if appended is None else appended:
                found.add(node, what, outlet, count)
    found.nodes = {node: place for node, place in found.nodes.items() if place != AtNode()}
    return found


def read_all(session: Session, journey_ids: Sequence[str]) -> dict[str, Counts]:
    """Journey id -> its numbers as a whole, without those of its steps; one statement for a page of journeys."""
    found = {id: Counts() for id in journey_ids}
    for id, _, *sum, appended in on(session).execute(_whole, {"of_journeys": list(journey_ids)}):
        for node, what, outlet, count in [sum] if appended is None else appended:
            if not node:
                found[id].add(node, what, outlet, count)
    return found


def by_version(session: Session, journey_id: str) -> dict[int, Counts]:
    """Version number -> the numbers of the runs that are on it now, without those of its steps."""
    found: dict[int, Counts] = {}
    for _, number, *sum, appended in on(session).execute(_whole, {"of_journeys": [journey_id]}):
        for node, what, outlet, count in [sum] if appended is None else appended:
            if not node:
                found.setdefault(number, Counts()).add(node, what, outlet, count)
    return found


def fold(session: Session, limit: int = 500) -> int:
    """Moves the oldest appended rows into the sums; answers how many there were. Repeat until it answers less than `limit`.

    Rows are taken by id, never by position, so that one that is committed late is folded later and none is missed.
    """
    rows = on(session).execute(lock(session, select(deltas).order_by(deltas.c.id).limit(limit))).all()
    if not rows:
        return 0
    on(session).execute(delete(deltas).where(deltas.c.id.in_([row.id for row in rows])))
    _add(session, _summed((row.journey_id, row.version_number, row.counts) for row in rows))
    return len(rows)


def _summed(rows: Iterable[tuple[str, int, Sequence[Sequence[str | int]]]]) -> Counter[tuple[str | int, ...]]:
    sums: Counter[tuple[str | int, ...]] = Counter()
    for journey_id, version_number, counts in rows:
        for *key, count in counts:
            sums[journey_id, version_number, *key] += int(count)
    return sums


def _add(session: Session, sums: Mapping[tuple[str | int, ...], int]) -> None:
    names = ("journey_id", "version_number", "node", "what", "outlet")
    statement = upsert(session, Tally)
    statement = statement.on_conflict_do_update(index_elements=names, set_={"count": tallies.c.count + statement.excluded.count})
    rows = [{**dict(zip(names, key, strict=True)), "count": count} for key, count in sorted(sums.items()) if count]
    if rows:
        on(session).execute(statement, rows)
