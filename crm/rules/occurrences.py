"""Event terms and sequences as statements that tell the facts: what was found, and not only whether a rule holds.

A statement gives a row for each contact that has anything; `crm.rules.sql_facts` asks for one contact, `crm.rules.crowd_facts` for a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, func, select

from crm.rules import aggregates
from crm.rules.answers import Answer
from crm.rules.terms.sequence import climb, whole
from crm.rules.terms.term import Builder
from journeys.rules import EventTerm, SequenceTerm, Told
from journeys.rules.aggregate import ENDS, Aggregate
from journeys.rules.facts import Occurrences, Steps
from journeys.rules.fields import of_event
from models import Event
from storage.instant_sql import instant_of
from storage.sql import table


def counted(term: EventTerm, events: FromClause, matching: Sequence[Answer]) -> Select[Any]:
    """Of the rows of `events` that match: `contact_id`, `count`, `oldest_at`, `newest_at`, and what the term's property comes to."""
    if term.aggregate is None:
        return _grouped(events, {}).where(*matching)
    if term.aggregate.of in ENDS:
        return _with_one(term.aggregate, events, matching)
    value = aggregates.value_of(term.aggregate, events).label("value")
    rows = select(events.c.contact_id, events.c.occurred_at, value).where(*matching).subquery()
    return _grouped(rows, aggregates.columns(term.aggregate, rows.c.value))


def _grouped(rows: FromClause, more: Mapping[str, ColumnElement[Any]]) -> Select[Any]:
    at = rows.c.occurred_at
    times = (func.count().label("count"), func.min(at).label("oldest_at"), func.max(at).label("newest_at"))
    return select(rows.c.contact_id, *times, *(column.label(name) for name, column in more.items())).group_by(rows.c.contact_id)


def _with_one(asked: Aggregate, events: FromClause, matching: Sequence[Answer]) -> Select[Any]:
    """With the properties and the context of the first or last event."""
    number = func.row_number().over(partition_by=events.c.contact_id, order_by=aggregates.in_order(asked, events.c))
    rows = select(events.c.contact_id, events.c.id, events.c.occurred_at, number.label("number")).where(*matching).subquery()
    found = _grouped(rows, {"one": func.max(case((rows.c.number == 1, rows.c.id)))}).subquery()
    one = table(Event).alias()
    return select(found, one.c.properties, one.c.context).join(one, one.c.id == found.c.one)


def occurrences(term: EventTerm, row: Mapping[str, Any] | None) -> Occurrences:
    """What a row says; None: the contact has nothing."""
    asked = term.aggregate
    if row is None:
        return Occurrences(value=None if asked is None else asked.of_events(())[0])
    value, amounts = None, 0
    if asked is not None and asked.of in ENDS:
        value = of_event(asked.field)(Told(row["properties"], row["context"]))
    elif asked is not None:
        value, amounts = aggregates.read(asked, row)
    return Occurrences(row["count"], row["oldest_at"], row["newest_at"], value, amounts)


def climbed(term: SequenceTerm, builder: Builder, whose: Callable[[FromClause], Answer]) -> Select[Any]:
    """How far each came: `at_n` and `begun_n` of every step that was reached, and `begun` of the whole."""
    found = climb(term, builder, whose)[-1]
    steps = [found.c[f"begun_{number}"] for number in range(len(term.sequence))]
    reached = [func.max(case((begun.is_not(None), found.c.at))).label(f"at_{number}") for number, begun in enumerate(steps)]
    began = [func.max(begun).label(f"begun_{number}") for number, begun in enumerate(steps)]
    ended = func.max(case((whole(term, found), steps[-1]))).label("begun")
    return select(found.c.contact_id, *reached, *began, ended).group_by(found.c.contact_id)


def steps(term: SequenceTerm, row: Mapping[str, Any] | None) -> Steps:
    """What a row says; None: the contact has nothing."""
    if row is None:
        return Steps((None,) * len(term.sequence))
    both = ((row[f"at_{number}"], row[f"begun_{number}"]) for number in range(len(term.sequence)))
    reached = tuple(None if at is None else (instant_of(at), instant_of(begun)) for at, begun in both)
    return Steps(reached, None if row["begun"] is None else instant_of(row["begun"]))
