"""Who has one of some days in a field: read by the contacts' zone, a bounded stretch of ids at a time.

What day a stored value means is decided by `journeys.rules.dates.day_of` alone, in the contact's zone. The database hands over the
one value of each contact and compares nothing, so that there is no second opinion.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select
from sqlalchemy.orm import Session

from crm.rules.expression import living
from journeys.rules.dates import day_of, in_year
from journeys.rules.fields import CONTACT_COLUMNS
from models import Contact
from storage.json_sql import NUMBERS, Kind, Text, place
from storage.sql import on, table

STRETCH = 2_000
"""Contacts that one statement reads at most."""

_contact = table(Contact)


@dataclass(frozen=True, slots=True)
class Days:
    """Days to look for in contact field `field`, of contacts whose `timezone` is `zone` (empty: those without one). `clock` is the zone they
    live by. `yearly`: a contact's day falls on its anniversaries."""

    field: str
    days: Collection[date]
    yearly: bool
    zone: str
    clock: tzinfo

    def on(self, value: Any) -> date | None:
        """The day out of `days` that a stored value falls on, the first of several; None if it falls on none."""
        day = day_of(value, self.clock)
        if day is None:
            return None
        meant = {in_year(day, year) for year in {one.year for one in self.days}} if self.yearly else {day}
        return min(meant.intersection(self.days), default=None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """`found`: (contact id, day) in the order of ids. `last_id`: the last contact that was looked at, None at the end of the zone."""

    found: Sequence[tuple[str, date]]
    last_id: str | None


def next_stretch(session: Session, asked: Days, after_id: str, limit: int = STRETCH) -> Stretch:
    """Of the next `limit` contacts of the zone after `after_id`, those whose field has one of the days."""
    in_zone = and_(_zone(asked.zone), _contact.c.id > after_id)
    nth = select(_contact.c.id).where(in_zone).order_by(_contact.c.id).offset(limit - 1).limit(1)
    last_id: str | None = session.execute(nth).scalar()
    inside = in_zone if last_id is None else and_(in_zone, _contact.c.id <= last_id)
    return Stretch(_fitting(session, asked, inside), last_id)


def among(session: Session, asked: Days, ids: Collection[str]) -> Sequence[tuple[str, date]]:
    """Those of `ids` whose field has one of the days, and who live in the zone."""
    return _fitting(session, asked, and_(_contact.c.id.in_(ids), _zone(asked.zone)))


def _fitting(session: Session, asked: Days, which: ColumnElement[bool]) -> list[tuple[str, date]]:
    rows = on(session).execute(_values(asked.field).where(which, living()).order_by(_contact.c.id))
    fitting = ((row.id, asked.on(_value(row))) for row in rows)
    return [(id, day) for id, day in fitting if day is not None]


def _zone(name: str) -> ColumnElement[bool]:
    return _contact.c.timezone == name if name else _contact.c.timezone.is_(None)


def _values(field: str) -> Select[Any]:
    """(id, kind, said) of those who have a value that can be a date; `kind` is NULL for a column."""
    if field in CONTACT_COLUMNS:
        column = _contact.c[field]
        return select(_contact.c.id, column.label("said")).where(column.is_not(None))
    where = place(_contact.c.attributes, field)
    kind = Kind(*where)
    return select(_contact.c.id, kind.label("kind"), Text(*where).label("said")).where(kind.in_(("text", *NUMBERS)))


def _value(row: Row[Any]) -> Any:
    """PostgreSQL hands a number over as text."""
    return float(row.said) if row._mapping.get("kind") in NUMBERS else row.said
