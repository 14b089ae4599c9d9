"""What a property comes to over all events that an event term finds: a sum, an average, the last one. Pure.

Sums, averages and extremes are of amounts (`journeys.rules.amounts`): what is missing, or is no number, is left out. A sum of none is 0; an
average, a smallest or a largest of none is missing. `distinct` counts different texts, numbers and truth values. `first` and `last` are the
property of the first or last *event*, and missing where that event has none; of two at one instant, the one that was stored earlier is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from journeys.errors import Issue
from journeys.rules import operands
from journeys.rules.amounts import PARTS, amount_of, bound_of, parts_of
from journeys.rules.facts import Occurrences, Telling
from journeys.rules.fields import of_event
from journeys.rules.predicates import Moving, movings, predicate
from journeys.rules.questions import COMPARE, Question
from journeys.rules.terms.field import FieldTerm, compared
from journeys.rules.terms.term import CONFIG, short
from journeys.rules.types import FieldName, Operand, Operator

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker

Of = Literal["sum", "average", "min", "max", "first", "last", "distinct"]
ENDS = ("first", "last")
"""Those that give the value of one event, of any type, and take every operator of a field."""


class Aggregate(BaseModel):
    """What `field` (a property, as in `where`) comes to over the events, compared with `value`: of one event (`first`, `last`) as any
    property is, else as a number."""

    model_config = CONFIG

    of: Of
    field: FieldName
    operator: Operator = ">="
    value: Operand = None

    @property
    def bound(self) -> int | None:
        """What a number is compared with, in parts; None: this comparison means nothing, and is never true."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or self.operator not in COMPARE:
            return None
        return bound_of(self.value)

    @property
    def one(self) -> FieldTerm:
        """The comparison as that of one property."""
        return FieldTerm(field=self.field, operator=self.operator, value=self.value)

    def movings(self) -> tuple[Moving, ...]:
        """The bounds in it that move with now; only dates are compared with such."""
        return tuple(movings(predicate(self.one))) if self.of in ENDS else ()

    def test(self) -> Question:
        """(what it comes to, now) -> answer."""
        if self.of in ENDS:
            return self.one.test_of_property()
        if self.bound is None:
            return lambda found, as_of: False
        compare, bound, missing = COMPARE[self.operator], Fraction(self.bound, PARTS), self.operator == "!="
        return lambda found, as_of: missing if found is None else compare(found, bound)

    def of_events(self, events: Sequence[Telling]) -> tuple[Any, int]:
        """(what it comes to, of how many amounts) over events in the order in which they happened."""
        find = of_event(self.field)
        if self.of in ENDS:
            return (find(events[0 if self.of == "first" else -1]) if events else None), 0
        if self.of == "distinct":
            return len(different(self.field, events)), 0
        amounts = [parts for event in events if (parts := parts_of(find(event))) is not None]
        return _OF_PARTS[self.of](amounts), len(amounts)

    def of_both(self, one: Occurrences, other: Occurrences) -> Any:
        """What it comes to over two groups of events, each with some, of which the other happened later. Not for `distinct`."""
        if self.of in ENDS:
            return one.value if self.of == "first" else other.value
        if self.of == "average":
            amounts = one.amounts + other.amounts
            return sum(found.value * found.amounts for found in (one, other) if found.amounts) / amounts if amounts else None
        values = [found.value for found in (one, other) if found.value is not None]
        return _JOINED[self.of](values) if values else None

    def shown(self, found: Any) -> Any:
        """As JSON, for timelines."""
        return float(found) if isinstance(found, Fraction) else short(found)

    # What is wrong with it

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        """`checker`: of the event."""
        if self.of in ENDS:
            yield from self.one.check(checker, path)
            return
        spec, issues = self.one.spec(checker, path)
        yield from issues
        if operands.wants_value(self.operator, self.value):
            yield operands.VALUE.empty(checker.node_id, f"{path}.value")
        elif self.operator not in COMPARE:
            text = "A number is compared here; the operator “{operator}” does not apply."
            yield checker.issue("rule.operator", text, f"{path}.operator", operator=self.operator)
        elif self.bound is None:
            text = "A number is compared here, got: {value}."
            yield checker.issue("rule.operand", text, f"{path}.value", value=operands.shown(self.value))
        elif spec is not None and spec.type not in _TYPES.get(self.of, ("number", "any")):
            yield checker.issue("rule.aggregate_type", _UNFIT.get(self.of, _NO_NUMBER), f"{path}.field", name=spec.name, type=spec.type)
        elif self.of == "distinct" and (self.bound < 0 or (self.bound == 0 and self.operator in (">=", "<"))):
            yield checker.issue("rule.count", "This count is always or never reached.", path, "warning")

    def sentence(self, speaker: Speaker, event: str, when: str) -> str:
        """`the sum of total for *Order Completed* in the last 90 days is at least 500`"""
        what = speaker.fill(_WHAT[self.of], field=self.one.title(speaker))
        whole = speaker.fill("{what} for {event}{when}", what=what, event=event, when=when)
        return compared(speaker, whole, self.operator, self.value)


def different(field: str, events: Iterable[Telling]) -> dict[Any, Any]:
    """The different values of a property, by what makes them different: `1` and `1.0` are one value; `1`, `"1"` and `true` are three."""
    find, found = of_event(field), dict[Any, Any]()
    for event in events:
        value = find(event)
        kind = value.__class__
        if kind in (int, float, str, bool):
            found[(kind is bool, value)] = value
    return found


_OF_PARTS: Mapping[str, Callable[[Sequence[int]], Fraction | None]] = {
    "sum": lambda parts: amount_of(sum(parts)),
    "average": lambda parts: amount_of(sum(parts), len(parts)) if parts else None,
    "min": lambda parts: amount_of(min(parts)) if parts else None,
    "max": lambda parts: amount_of(max(parts)) if parts else None,
}
_JOINED: Mapping[str, Callable[[list[Any]], Any]] = {"sum": sum, "min": min, "max": max}
_TYPES: Mapping[str, tuple[str, ...]] = {"distinct": ("string", "number", "boolean", "date", "datetime", "any")}
"""Types of properties that make sense; for those that are not here, numbers."""
_NO_NUMBER = "“{name}” is of type {type}; only numbers can be added up and compared in size."
_UNFIT = {"distinct": "“{name}” is of type {type}; only texts, numbers, dates, yes and no can be told apart."}
_WHAT: Mapping[str, str] = {
    "sum": "the sum of {field}",
    "average": "the average of {field}",
    "min": "the smallest value of {field}",
    "max": "the largest value of {field}",
    "first": "the first value of {field}",
    "last": "the last value of {field}",
    "distinct": "the number of different values of {field}",
}
