"""Functions that answer: predicates as tests of a value, and several answers combined.

They are made once, and ask for no types at run time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from journeys.rules import dates
from journeys.rules.predicates import All, AnyOf, Element, Instant, Missing, Moving, Not, Number, OneOf, Predicate, Text

Question = Callable[[Any, datetime], bool]
"""(facts or one event or a value, now) -> answer"""

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_NUMBERS = (int, float)  # compared with `__class__`: bool is a subclass of int and no number


def combined(combinator: str, inner: tuple[Question, ...]) -> Question:
    """All (`and`) or any (`or`) of several; of none: yes."""
    if not inner:
        return lambda subject, as_of: True
    if len(inner) == 1:
        return inner[0]
    return _all(inner) if combinator == "and" else _any(inner)


def turned(ask: Question) -> Question:
    return lambda subject, as_of: not ask(subject, as_of)


def never(subject: Any, as_of: datetime) -> bool:
    return False


def test_of(asked: Predicate) -> Question:
    """`asked` as a function of a value and now."""
    return _TESTS[type(asked)](asked)


def holds_of_missing(asked: Predicate) -> bool:
    """Whether it is true of a value that is missing; no clock changes that."""
    return test_of(asked)(None, datetime(2000, 1, 1, tzinfo=UTC))


def _all(inner: tuple[Question, ...]) -> Question:
    def every(subject: Any, as_of: datetime) -> bool:
        for ask in inner:  # noqa: SIM110 - a generator costs twice as much
            if not ask(subject, as_of):
                return False
        return True

    return every


def _any(inner: tuple[Question, ...]) -> Question:
    def some(subject: Any, as_of: datetime) -> bool:
        for ask in inner:  # noqa: SIM110 - a generator costs twice as much
            if ask(subject, as_of):
                return True
        return False

    return some


def _missing(value: Any, as_of: datetime) -> bool:
    return value is None


def _one_of(asked: OneOf) -> Question:
    texts, numbers, booleans = frozenset(asked.texts), frozenset(asked.numbers), frozenset(asked.booleans)
    if not numbers and not booleans:
        return lambda value, as_of: value.__class__ is str and value in texts

    def test(value: Any, as_of: datetime) -> bool:
        kind = value.__class__
        if kind is str:
            return value in texts
        if kind is bool:
            return value in booleans
        return kind in _NUMBERS and value in numbers

    return test


def _number(asked: Number) -> Question:
    compare, bound = COMPARE[asked.comparison], asked.bound
    return lambda value, as_of: value.__class__ in _NUMBERS and compare(value, bound)


def _instant(asked: Instant) -> Question:
    compare, bound, instant = COMPARE[asked.comparison], asked.bound, dates.instant

    def test(value: Any, as_of: datetime) -> bool:
        text = instant(value)
        return text is not None and compare(text, bound)

    return test


def _moving(asked: Moving) -> Question:
    compare, offset, instant = COMPARE[asked.comparison], asked.offset, dates.instant

    def test(value: Any, as_of: datetime) -> bool:
        text = instant(value)
        return text is not None and compare(text, dates.text_of(as_of + offset))

    return test


def _text(asked: Text) -> Question:
    needle = asked.needle
    if asked.where == "inside":
        return lambda value, as_of: value.__class__ is str and needle in value
    if asked.where == "start":
        return lambda value, as_of: value.__class__ is str and value.startswith(needle)
    return lambda value, as_of: value.__class__ is str and value.endswith(needle)


def _element(asked: Element) -> Question:
    test = _one_of(asked.one_of)

    def found(value: Any, as_of: datetime) -> bool:
        return isinstance(value, list | tuple) and any(test(element, as_of) for element in value)

    return found


def _every(asked: All) -> Question:
    return _all(tuple(test_of(inner) for inner in asked.inner))


def _some(asked: AnyOf) -> Question:
    return _any(tuple(test_of(inner) for inner in asked.inner))


_TESTS: Mapping[type, Callable[[Any], Question]] = {
    Missing: lambda _: _missing,
    OneOf: _one_of,
    Number: _number,
    Instant: _instant,
    Moving: _moving,
    Text: _text,
    Element: _element,
    Not: lambda asked: turned(test_of(asked.inner)),
    All: _every,
    AnyOf: _some,
}
