"""The types of what terms hold: names, operators, operands, and their bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from journeys.spelling import one_line

MAX_LIST = 1_000
MAX_TEXT = 2_000
MAX_NUMBER = 2**53 - 1
"""Beyond it, a whole number is no longer the same in JavaScript and as a float; long ids are text."""


def _storable(text: str) -> str:
    """No database stores U+0000 in a text, so nothing can equal it."""
    if "\x00" in text:
        raise ValueError("a text may not hold the character U+0000")
    return text


Name = Annotated[str, AfterValidator(_storable)]
EventName = Annotated[Name, BeforeValidator(lambda name: one_line(name) if isinstance(name, str) else name)]
"""Spelt as events are stored."""
FieldName = Annotated[str, Field(min_length=1, max_length=120, pattern=r'^[^".\\\x00-\x1f]+(\.[^".\\\x00-\x1f]+)*$')]
"""Keys joined by dots (`address.city`); quotes, backslashes and control characters cannot be asked for."""
Within = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=3660))]
"""How far a term looks back, at most ten years."""

_within_limits = Field(ge=-MAX_NUMBER, le=MAX_NUMBER)
Scalar = bool | Annotated[int, _within_limits] | Annotated[float, _within_limits] | Annotated[Name, Field(max_length=MAX_TEXT)] | None
Operand = Scalar | Annotated[tuple[Scalar, ...], Field(max_length=MAX_LIST)]

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "between", "null", "notNull",
    "before", "after", "withinLast", "withinNext",
]  # fmt: skip
"""react-querybuilder's names. `before`/`after` compare instants; `withinLast`/`withinNext` take a duration ("P3D") relative to now.
No operator takes a regular expression."""

Compare = Literal["=", "!=", "<", "<=", ">", ">="]
