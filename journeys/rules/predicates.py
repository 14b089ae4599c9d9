"""What a field term asks, reduced to seven small questions.

Both faces of a rule (the closures here, SQL in `crm`) are built from these, so that they cannot differ in what an
operator means; they only have to agree on the seven questions. `docs/rules.md` is the page for people.

Two rules explain every case. A question about a missing value, or one of the wrong type, is answered *no*. A negative
operator (`!=`, `notIn`, `doesNotContain`, `notNull`) is the exact opposite of its positive one, so it is true for missing values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from journeys.rules import dates

if TYPE_CHECKING:
    from journeys.rules.terms.field import FieldTerm

Comparison = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Missing:
    """Absent or JSON null."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text, number or boolean equal to one of these, of the same type: `1` equals `1.0`, never `True` or `"1"`."""

    texts: tuple[str, ...] = ()
    numbers: tuple[int | float, ...] = ()
    booleans: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number so much smaller or larger."""

    comparison: Comparison
    bound: int | float


@dataclass(frozen=True, slots=True)
class Instant:
    """A date or instant before or after another (`bound` in the form of `dates`)."""

    comparison: Comparison
    bound: str


@dataclass(frozen=True, slots=True)
class Moving:
    """A date or instant before or after now + `offset`."""

    comparison: Comparison
    offset: timedelta


@dataclass(frozen=True, slots=True)
class Text:
    """A text that has `needle` somewhere, at its start or at its end; case counts."""

    where: Literal["inside", "start", "end"]
    needle: str


@dataclass(frozen=True, slots=True)
class Element:
    """A list that has an element equal to one of these."""

    one_of: OneOf


@dataclass(frozen=True, slots=True)
class Not:
    inner: Predicate


@dataclass(frozen=True, slots=True)
class All:
    inner: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    inner: tuple[Predicate, ...]


Predicate = Missing | OneOf | Number | Instant | Moving | Text | Element | Not | All | AnyOf

NEVER = AnyOf(())


def predicate(term: FieldTerm, *, instant_column: bool = False) -> Predicate:
    """What `term` asks of its value. An operand that makes no sense for the operator gives `NEVER` (the check reports it);
    a column of instants (`created_at`) has no text to search in."""
    made = _MAKERS[term.operator](term.value)
    return _only_instants(made) if instant_column else made


def movings(asked: Predicate) -> Iterator[Moving]:
    """The bounds in it that move with now."""
    if isinstance(asked, Moving):
        yield asked
    elif isinstance(asked, Not):
        yield from movings(asked.inner)
    elif isinstance(asked, All | AnyOf):
        for inner in asked.inner:
            yield from movings(inner)


def _one_of(value: Any) -> OneOf:
    values = value if isinstance(value, tuple) else (value,)
    return OneOf(
        texts=tuple(dates.normalise(v) for v in values if isinstance(v, str)),
        numbers=tuple(v for v in values if _is_number(v)),
        booleans=tuple(v for v in values if isinstance(v, bool)),
    )


def _equal(value: Any) -> Predicate:
    return NEVER if value is None or isinstance(value, tuple) else _one_of(value)


def _contains(value: Any) -> Predicate:
    if isinstance(value, str):
        return AnyOf((Text("inside", value), Element(_one_of(value))))
    return NEVER if value is None or isinstance(value, tuple) else Element(_one_of(value))


def _text(where: Literal["start", "end"]) -> Callable[[Any], Predicate]:
    return lambda value: Text(where, value) if isinstance(value, str) else NEVER


def _ordered(comparison: Comparison) -> Callable[[Any], Predicate]:
    def make(value: Any) -> Predicate:
        if _is_number(value):
            return Number(comparison, value)
        return _absolute(comparison, value)

    return make


def _absolute(comparison: Comparison, value: Any) -> Predicate:
    at = dates.moment(dates.normalise(value))
    return NEVER if at is None else Instant(comparison, dates.text_of(at))


def _relative(comparison: Comparison) -> Callable[[Any], Predicate]:
    def make(value: Any) -> Predicate:
        offset = dates.duration(value)
        return Moving(comparison, offset) if offset is not None else _absolute(comparison, value)

    return make


def _between(value: Any) -> Predicate:
    if not isinstance(value, tuple) or len(value) != 2:
        return NEVER
    low, high = _ordered(">=")(value[0]), _ordered("<=")(value[1])
    return All((low, high)) if type(low) is type(high) else NEVER


def _within(sign: int) -> Callable[[Any], Predicate]:
    """The past: after now - d, up to now. The future: after now, up to now + d."""

    def make(value: Any) -> Predicate:
        span = dates.duration(value)
        if span is None or span < timedelta(0):
            return NEVER
        ends = sorted((timedelta(0), sign * span))
        return All((Moving(">", ends[0]), Moving("<=", ends[1])))

    return make


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _only_instants(made: Predicate) -> Predicate:
    if isinstance(made, OneOf):
        return OneOf(texts=tuple(text for text in made.texts if len(text) == dates.INSTANT_LENGTH and dates.instant(text)))
    if isinstance(made, Not):
        return Not(_only_instants(made.inner))
    if isinstance(made, Text | Element | Number) or (isinstance(made, AnyOf) and made.inner):
        return NEVER
    return made


_MAKERS: dict[str, Callable[[Any], Predicate]] = {
    "=": _equal,
    "!=": lambda value: Not(_equal(value)),
    "<": _ordered("<"),
    "<=": _ordered("<="),
    ">": _ordered(">"),
    ">=": _ordered(">="),
    "contains": _contains,
    "doesNotContain": lambda value: Not(_contains(value)),
    "beginsWith": _text("start"),
    "endsWith": _text("end"),
    "in": _one_of,
    "notIn": lambda value: Not(_one_of(value)),
    "between": _between,
    "null": lambda _: Missing(),
    "notNull": lambda _: Not(Missing()),
    "before": _relative("<"),
    "after": _relative(">"),
    "withinLast": _within(-1),
    "withinNext": _within(1),
}
