"""Which operands fit an operator and a type, and which conditions on one value can be true together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from journeys.labels import FieldLabel
from journeys.rules import dates

if TYPE_CHECKING:
    from journeys.rules.terms.field import FieldTerm

VALUE = FieldLabel("Value")
_NO_VALUE = ("null", "notNull")
"""Operators that compare with nothing."""


def wants_value(operator: object, value: Any) -> bool:
    """Whether a comparison lacks what it compares with; of two bounds, one."""
    if operator in _NO_VALUE:
        return False
    if operator == "between" and isinstance(value, list | tuple):
        return len(value) != 2 or any(one in (None, "") for one in value)
    return value in (None, "", [], ())


def applies(operator: str, type: str) -> bool:
    """Whether the operator can be true for a field of the type."""
    allowed = _OPERATORS.get(type)
    return allowed is None or operator in _NO_VALUE or operator in allowed


def can_equal(operator: str, value: Any, type: str) -> bool:
    """Whether a field of the type can have such a value."""
    fits = _OPERAND.get(type)
    return fits is None or operator in _NO_VALUE or all(fits(one) for one in _values(value))


def _values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def unfit(operator: str, value: Any) -> bool:
    """Operands that make sense to nobody although they have a defined result."""
    if operator in ("in", "notIn"):
        return not isinstance(value, tuple) or not value or any(one is None for one in value)
    if operator in ("contains", "doesNotContain", "beginsWith", "endsWith"):
        return bool(value == "")
    return operator == "between" and isinstance(value, tuple) and len(value) == 2 and _reversed(value[0], value[1])


def _reversed(low: Any, high: Any) -> bool:
    for kind in (_as_number, _as_instant):
        lower, upper = kind(low), kind(high)
        if lower is not None and upper is not None:
            return bool(lower > upper)
    return False


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _is_date(value: Any) -> bool:
    return dates.instant(dates.normalise(value)) is not None or dates.duration(value) is not None


def contradict(terms: list[FieldTerm]) -> bool:
    """Whether no number, and no one text, can fulfil all of these. Looks at what is asked of one value; negative operators are left out."""
    if any(term.operator == "null" for term in terms):
        return any(term.operator not in ("null", *_NEGATIVE) for term in terms)
    return _no_value_left(terms) or _no_room(terms)


def _no_value_left(terms: list[FieldTerm]) -> bool:
    sets = [{(_kind(v), dates.normalise(v)) for v in _values(term.value)} for term in terms if term.operator in ("=", "in")]
    return len(sets) > 1 and not set.intersection(*sets)


def _kind(value: Any) -> str:
    return "number" if _numbers(value) else type(value).__name__


def _no_room(terms: list[FieldTerm]) -> bool:
    """Whether the largest lower bound lies above the smallest upper one, among bounds of one kind."""
    for kind in (_as_number, _as_instant):
        lows = [(value, strict) for term in terms for value, strict in _bounds(term, ">", "after", kind)]
        highs = [(value, strict) for term in terms for value, strict in _bounds(term, "<", "before", kind)]
        if any(low > high or (low == high and (a or b)) for low, a in lows for high, b in highs):
            return True
    return False


def _bounds(term: FieldTerm, side: str, word: str, kind: Callable[[Any], Any]) -> Iterator[tuple[Any, bool]]:
    """(bound, whether it is excluded) on one side."""
    value = term.value
    if term.operator == "between" and isinstance(value, tuple) and len(value) == 2:
        value = value[0 if side == ">" else 1]
    elif term.operator not in (side, side + "=", word, "="):
        return
    bound = kind(value)
    if bound is not None:
        yield bound, term.operator in (side, word)


def _as_number(value: Any) -> Any:
    return value if _numbers(value) else None


def _as_instant(value: Any) -> Any:
    return dates.instant(dates.normalise(value))


_NEGATIVE = ("!=", "notIn", "doesNotContain")
_EQUALITY = ("=", "!=", "in", "notIn")
_ORDER = ("<", "<=", ">", ">=", "between")
_DATES = ("before", "after", "withinLast", "withinNext")
_PARTS = ("contains", "doesNotContain", "beginsWith", "endsWith")

_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "string": (*_EQUALITY, *_PARTS),
    "number": (*_EQUALITY, *_ORDER),
    "boolean": _EQUALITY,
    "datetime": (*_EQUALITY, *_ORDER, *_DATES),
    "date": (*_EQUALITY, *_ORDER, *_DATES),
    "list": ("contains", "doesNotContain"),
    "object": (),
}
"""Operators that can be true for a type; `any` is not listed and takes all."""

_OPERAND: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _numbers,
    "boolean": lambda value: isinstance(value, bool),
    "datetime": _is_date,
    "date": _is_date,
}

_ONE = "The operator “{operator}” needs one value, got: {value}. To ask whether a field is known, use “null” and “notNull”."
_TEXT = "The operator “{operator}” needs a text that is not empty, got: {value}."
_BOUND = "The operator “{operator}” needs a number or a date such as 2026-12-31, got: {value}."
_LIST = "The operator “{operator}” needs a list of values that is not empty, got: {value}."
_DATE = "The operator “{operator}” needs a date such as 2026-12-31 or a time span from now such as -P30D, got: {value}."
_SPAN = "The operator “{operator}” needs a time span of at most ten years such as P3D, got: {value}."

EXPECTED: Mapping[str, str] = {
    "=": _ONE,
    "!=": _ONE,
    "<": _BOUND,
    "<=": _BOUND,
    ">": _BOUND,
    ">=": _BOUND,
    "contains": _TEXT,
    "doesNotContain": _TEXT,
    "beginsWith": _TEXT,
    "endsWith": _TEXT,
    "in": _LIST,
    "notIn": _LIST,
    "between": "The operator “{operator}” needs two numbers or two dates, the smaller one first, got: {value}.",
    "null": _ONE,
    "notNull": _ONE,
    "before": _DATE,
    "after": _DATE,
    "withinLast": _SPAN,
    "withinNext": _SPAN,
}
