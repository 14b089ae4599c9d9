"""What expressions of rules are built from: comparisons, rows that are there, and a clock. Every answer is two-valued (never NULL)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, Table, not_, select

from models import Contact, Event
from storage.sql import table

Answer = ColumnElement[bool]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE: Mapping[str, str] = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}

contacts: Table = table(Contact)
"""Whom a rule is asked of: statements select from it."""
INSTANT = table(Event).c.occurred_at.type
NOW = timedelta(0)


class Clock(Protocol):
    """Now, moved by an offset: as an instant, and as text that sorts."""

    def instant(self, offset: timedelta) -> ColumnElement[Any]: ...
    def text(self, offset: timedelta) -> ColumnElement[str]: ...


def exists(rows: FromClause, matching: Iterable[Answer], *, wanted: bool) -> Answer:
    """Whether a contact has such rows (`wanted`), or has none."""
    found = select(1).select_from(rows).where(*matching).correlate(contacts).exists()
    return found if wanted else not_(found)


def compared(comparison: str, left: Any, right: Any) -> Answer:
    answer: Answer = COMPARE[comparison](left, right)
    return answer
