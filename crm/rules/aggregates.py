"""What a property comes to over the rows of an event term (`journeys.rules.aggregate`) in SQL, on SQLite and PostgreSQL.

Parts of amounts are added up in two halves, because their sum may be larger than 64 bits hold; a sum is compared through the difference of its
halves from those of the bound. So no history overflows, and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, case, cast, false, func, literal, not_, or_, select

from crm.rules.answers import Answer, compared, contacts, exists
from crm.rules.predicates import Asked, Json, of_event
from crm.rules.terms.term import Builder
from journeys.rules.aggregate import ENDS, Aggregate
from journeys.rules.amounts import MOST, PARTS, amount_of
from journeys.rules.predicates import predicate
from journeys.rules.questions import holds_of_missing
from models import Event
from storage.json_sql import Amount, Distinct, place
from storage.sql import table

HALF = 10**9
"""Parts beyond which another half counts."""
_LARGEST = MOST * PARTS + 1
"""No amount is as large."""

Columns = Mapping[str, ColumnElement[Any]]


def holds(asked: Aggregate, events: FromClause, matching: Sequence[Answer], builder: Builder) -> Answer:
    """Whether it holds over the rows of `events` that match, for a contact of an enclosing statement."""
    if asked.of in ENDS:
        return _of_one(asked, events, matching, builder)
    if asked.bound is None:
        return false()
    rows = select(value_of(asked, events).label("value")).where(*matching).correlate(contacts).subquery()
    found = select(*(column.label(name) for name, column in columns(asked, rows.c.value).items())).subquery()
    answer = _HOLDS[asked.of](asked, dict(found.c.items()), asked.bound)
    return select(case((answer, 1), else_=0)).select_from(found).scalar_subquery() == 1


def value_of(asked: Aggregate, events: FromClause) -> ColumnElement[Any]:
    """Of one event: its amount, or what makes its value different from others."""
    where = place(*of_event(events, asked.field))
    return Distinct(*where) if asked.of == "distinct" else Amount(*where)


def columns(asked: Aggregate, value: ColumnElement[Any]) -> Columns:
    """What has to be selected to know what values of events come to. Not for `first` and `last`."""
    if asked.of == "distinct":
        return {"different": func.count(value.distinct())}
    if asked.of in ("min", "max"):
        return {"extreme": (func.min if asked.of == "min" else func.max)(value), "amounts": func.count(value)}
    half = literal(HALF, BigInteger())
    return {
        "high": cast(func.coalesce(func.sum(value // half), 0), BigInteger),
        "low": cast(func.coalesce(func.sum(value % half), 0), BigInteger),
        "amounts": func.count(value),
    }


def read(asked: Aggregate, row: Mapping[str, Any]) -> tuple[Any, int]:
    """(what it comes to, of how many amounts) out of the columns."""
    if asked.of == "distinct":
        return row["different"], 0
    amounts = row["amounts"]
    if asked.of in ("min", "max"):
        return (amount_of(row["extreme"]) if amounts else None), amounts
    parts = row["high"] * HALF + row["low"]
    if asked.of == "sum":
        return amount_of(parts), amounts
    return (amount_of(parts, amounts) if amounts else None), amounts


def in_order(asked: Aggregate, events: Any) -> tuple[ColumnElement[Any], ...]:
    """The first or the last in front."""
    order = (events.occurred_at, events.id)
    return order if asked.of == "first" else tuple(column.desc() for column in order)


def _of_one(asked: Aggregate, events: FromClause, matching: Sequence[Answer], builder: Builder) -> Answer:
    """Of the first or last event. Where a missing value fulfils it, a contact is sought whose event does not."""
    one = select(events.c.id).where(*matching).order_by(*in_order(asked, events.c)).limit(1).correlate(contacts).scalar_subquery()
    found, wanted = table(Event).alias(), predicate(asked.one)
    fits = Asked(Json(*of_event(found, asked.field)), builder.clock).say(wanted)
    if holds_of_missing(wanted):
        return exists(found, [found.c.id == one, not_(fits)], wanted=False)
    return exists(found, [found.c.id == one, fits], wanted=True)


def _sum(asked: Aggregate, found: Columns, bound: int) -> Answer:
    return _difference(asked, found, bound, literal(1))


def _average(asked: Aggregate, found: Columns, bound: int) -> Answer:
    """A sum is compared with so many times the bound; nothing is divided."""
    return _or_missing(asked, found["amounts"] > 0, _difference(asked, found, bound, found["amounts"]))


def _difference(asked: Aggregate, found: Columns, bound: int, times: ColumnElement[Any]) -> Answer:
    """The sign of (high, low) - times * bound: that of the whole halves between them, or of the rest where there are none."""
    high, low, half = *(literal(part, BigInteger()) for part in divmod(bound, HALF)), literal(HALF, BigInteger())
    of_high, of_low = found["high"] - high * times, found["low"] - low * times
    halves, rest = of_high + of_low // half, of_low % half
    return compared(asked.operator, case((halves != 0, halves), else_=rest), 0)


def _extreme(asked: Aggregate, found: Columns, bound: int) -> Answer:
    near = literal(max(-_LARGEST, min(bound, _LARGEST)), BigInteger())
    extreme = func.coalesce(found["extreme"], 0)
    return _or_missing(asked, found["amounts"] > 0, compared(asked.operator, extreme, near))


def _different(asked: Aggregate, found: Columns, bound: int) -> Answer:
    return compared(
        asked.operator, found["different"] * literal(PARTS, BigInteger()), literal(max(-_LARGEST, min(bound, _LARGEST)), BigInteger())
    )


def _or_missing(asked: Aggregate, there: Answer, answer: Answer) -> Answer:
    return or_(not_(there), answer) if asked.operator == "!=" else and_(there, answer)


_HOLDS: Mapping[str, Callable[[Aggregate, Columns, int], Answer]] = {
    "sum": _sum,
    "average": _average,
    "min": _extreme,
    "max": _extreme,
    "distinct": _different,
}
