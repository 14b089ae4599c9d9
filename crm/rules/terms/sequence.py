from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Select, and_, case, func, not_, select

from crm.rules.answers import Answer, contacts
from crm.rules.terms.event import during, named
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import SequenceTerm
from models import Event
from storage.instant_sql import Microseconds, microseconds_of
from storage.sql import table


class SequenceSql(TermSql[SequenceTerm]):
    term = SequenceTerm
    costly = True

    def on_contact(self, term: SequenceTerm, builder: Builder) -> Answer:
        levels = climb(term, builder, lambda events: events.c.contact_id == contacts.c.id, contacts)
        found = select(1).select_from(levels[-1]).where(whole(term, levels[-1]))
        answer = found.add_cte(*levels, nest_here=True).correlate(contacts).exists()
        return answer if term.did else not_(answer)


def climb(term: SequenceTerm, builder: Builder, whose: Callable[[FromClause], Answer], *around: FromClause) -> Sequence[CTE]:
    """The last one has its events in order, with `at` and, where an event reached step n, when the steps that lead there began: `begun_n` (microseconds).

    As `journeys.rules.climbing`, one look at each event, the way that lasts latest kept: for each step an expression over the one before. They
    stand below each other and not in each other, because SQLite reads only so many brackets. `whose`: the condition on the rows of event;
    `around`: tables of enclosing statements that it names.
    """
    events = table(Event).alias()
    fits = [and_(*named(one.event, events), *_where(one.where, builder, events)) for one in term.sequence]
    at = Microseconds(events.c.occurred_at)
    rows = (
        select(events.c.contact_id, events.c.id, at.label("at"), case((fits[0], at)).label("begun_0"))
        .add_columns(*(case((one, 1), else_=0).label(f"fits_{number}") for number, one in enumerate(fits) if number))
        .where(whose(events), events.c.name.in_(sorted(term.events)), *during(term.period, events, builder))
    )
    levels = [(rows.correlate(*around) if around else rows).cte()]
    for number in range(1, len(fits)):
        levels.append(_next(levels[-1], number, term.sequence[number].within).cte())
    return levels


def whole(term: SequenceTerm, climbed: CTE) -> Answer:
    """Whether an event is the end of the whole sequence."""
    begun = climbed.c[f"begun_{len(term.sequence) - 1}"]
    if term.span is None:
        return begun.is_not(None)
    return and_(begun.is_not(None), climbed.c.at - func.coalesce(begun, 0) <= microseconds_of(term.span))


def _where(where: Any, builder: Builder, events: FromClause) -> list[Answer]:
    return [] if where is None else [builder.where(where, events)]


def _next(level: CTE, number: int, within: timedelta | None) -> Select[Any]:
    """With what the events before each one reached: whether it is step `number`."""
    begun = level.c[f"begun_{number - 1}"]

    def newest(value: ColumnElement[int]) -> ColumnElement[int]:
        """Among the events before."""
        return func.max(value).over(partition_by=level.c.contact_id, order_by=(level.c.at, level.c.id), rows=(None, -1))

    reached_at = newest(case((begun.is_not(None), level.c.at)))
    in_time = reached_at.is_not(None) if within is None else level.c.at - reached_at <= microseconds_of(within)
    follows = and_(level.c[f"fits_{number}"] == 1, in_time)
    kept = [column for column in level.c if column.name != f"fits_{number}"]
    return select(*kept, case((follows, newest(begun))).label(f"begun_{number}"))
