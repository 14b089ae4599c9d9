"""Drawing some of many rows: each id ends with random bits (`models.new_id`), so those with the smallest are a sample without any leaning,
however the rows came about. One walk finds them, and asking twice finds the same."""

from __future__ import annotations

from math import sqrt
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func

LOT_AT = 17
"""Where the lot begins in an id: behind the instant it was made at, and four digits more."""
SPARE = 4
"""So many standard deviations more than are wanted are compared, because lots only fall evenly by and large. Of 500: 589; too few in one
of 30,000 draws."""


def lot(id: SQLColumnExpression[str]) -> ColumnElement[str]:
    """The random end of an id."""
    return func.substr(id, LOT_AT)


def drawn(statement: Select[Any], id: SQLColumnExpression[str], size: int, of: int) -> Select[Any]:
    """`size` rows of a statement that finds `of` rows or more. The bound lets it ask its conditions of a few only, and sort no more."""
    bound = int(2**16 * (size + SPARE * sqrt(size)) / of)
    bounded = statement if bound >= 2**16 else statement.where(lot(id) < f"{bound:04x}")
    return bounded.order_by(lot(id)).limit(size)
