"""Amounts: numbers in properties of events, as they are added up.

Each counts rounded to four decimal places, half away from zero, as a whole number of ten-thousandths. Whole numbers add up to the same sum
in every order, so Python, SQLite and PostgreSQL agree to the last digit, which sums of binary fractions do not (0.1 + 0.2). The SQL is
`storage.json_sql.Amount`, with the same arithmetic step by step.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

PARTS = 10_000
"""Of one: 12.5 is 125,000 parts."""
MOST = 10**11
"""A larger number is no amount. Below it, its parts are a whole number that a float holds exactly."""


def parts_of(value: Any) -> int | None:
    """A stored number in parts: 12.34565 -> 123457, -0.5 -> -5000. None: it is no number, or larger than any amount."""
    if value.__class__ not in (int, float) or not -MOST <= value <= MOST:
        return None
    return int(float(value) * PARTS + (-0.5 if value < 0 else 0.5))


def bound_of(value: float) -> int:
    """What amounts are compared with, in parts; it may be larger than they are."""
    found = parts_of(value)
    return int(value) * PARTS if found is None else found


def amount_of(parts: int, of: int = 1) -> Fraction:
    """(1234500, 3) -> 41.15: what parts of so many numbers are on average, exactly."""
    return Fraction(parts, PARTS * of)
