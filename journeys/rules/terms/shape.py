"""The shape of a term in the rule editor: widgets in rows, as data. Every text is a message id of the catalogues. Pure.

`builder_ui.builder.term_widgets` draws them; there is one function for each widget and none for a term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Choices = Sequence[tuple[Any, str]]
"""(what is stored, what is shown)"""

OPERATORS = {
    "=": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
    "contains": "contains",
    "doesNotContain": "does not contain",
    "beginsWith": "begins with",
    "endsWith": "ends with",
    "in": "is one of",
    "notIn": "is none of",
    "between": "is between",
    "null": "is empty",
    "notNull": "is not empty",
    "before": "is before",
    "after": "is after",
    "withinLast": "was within the last",
    "withinNext": "is within the next",
}
COMPARE = ("=", "!=", "<", "<=", ">", ">=")
COMPARISONS: Choices = [(one, OPERATORS[one]) for one in COMPARE]
"""For numbers."""
COUNTS: Choices = [
    (">=", "at least"),
    ("=", "exactly"),
    ("<=", "at most"),
    (">", "more than"),
    ("<", "less than"),
    ("!=", "not exactly"),
]
"""How often something happened."""
AGGREGATES: Choices = [
    ("sum", "sum of"),
    ("average", "average of"),
    ("min", "smallest value of"),
    ("max", "largest value of"),
    ("first", "first value of"),
    ("last", "last value of"),
    ("distinct", "number of different values of"),
]
"""What a property of several events comes to."""


@dataclass(frozen=True, slots=True)
class Words:
    """A word between the widgets."""

    text: str


@dataclass(frozen=True, slots=True)
class Choose:
    """One of a few, chosen from a list. `key` may lead into an object (`count.operator`); `default` holds where nothing is stored;
    `former` are not offered any more, and shown only where one is stored."""

    key: str
    label: str
    choices: Choices
    default: Any = None
    former: Choices = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A line of text. `offered`: the noun of which names are suggested (`event`, `tag`)."""

    key: str
    label: str
    offered: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `whole`: from zero on and without fractions."""

    key: str
    label: str
    default: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Yes or no, with its text beside the box. `in_run`: it asks about the contact's run, so where there is none it is not offered."""

    key: str
    text: str
    in_run: bool = False


@dataclass(frozen=True, slots=True)
class Pick:
    """One of what the workspace has; `noun` as in the hints of forms (`purpose`, `score_group`)."""

    key: str
    label: str
    noun: str
    default: str | None = None
    any: str = ""
    """What stands for any of them (then nothing is stored); empty: one must be chosen."""


@dataclass(frozen=True, slots=True)
class PickMessage:
    """A step of this journey that sends a message, or any message: then nothing is stored."""

    key: str
    label: str
    any: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator that fits its type, and a value that fits both."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Among:
    """One of a few attributes that hold texts, an operator, and a text: of the attributes in `listed` one of a few, of the others one
    for which known values are suggested. `any`: no attribute is asked for."""

    attribute: str
    operator: str
    value: str
    choices: Choices
    operators: Sequence[str]
    any: str
    listed: Mapping[str, Choices]


@dataclass(frozen=True, slots=True)
class Where:
    """A rule on the properties of the event that stands in the field `event`."""

    key: str
    event: str


@dataclass(frozen=True, slots=True)
class Reckoned:
    """How often the events happened (`count`, with operator and value), or what one of their properties comes to: one of `choices` (`key`,
    an object with `of`, `field`, `operator` and `value`). `event`: the field in which the event stands."""

    key: str
    event: str
    count: str
    choices: Choices


@dataclass(frozen=True, slots=True)
class During:
    """A stretch of time: fields for a length of time that ends now, for the day when it begins, and for the day, or the span from now, when it
    ends (empty: it has none)."""

    within: str
    since: str
    before: str


@dataclass(frozen=True, slots=True)
class Several:
    """A list of parts in order, each with a heading and widgets of its own, of which those in `not_first` make no sense for the first."""

    key: str
    heading: str
    shape: Shape
    fresh: Mapping[str, Any]
    least: int
    most: int
    not_first: tuple[str, ...] = ()


Widget = Words | Choose | Write | Number | Span | Tick | Pick | PickMessage | Comparison | Among | Where | Reckoned | During | Several
Row = tuple[Widget, ...]
Shape = Sequence[Row | Widget]
"""Rows below each other; a widget that is in no row stands alone."""


def widgets(shape: Shape) -> Iterator[Widget]:
    """All of them, in reading order."""
    for one in shape:
        for widget in one if isinstance(one, tuple) else (one,):
            yield widget
            if isinstance(widget, Several):
                yield from widgets(widget.shape)
