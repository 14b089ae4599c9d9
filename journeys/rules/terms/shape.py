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


Widget = Words | Choose | Write | Number | Span | Tick | Pick | PickMessage | Comparison | Among | Where
Row = tuple[Widget, ...]
Shape = Sequence[Row | Widget]
"""Rows below each other; a widget that is in no row stands alone."""


def widgets(shape: Shape) -> Iterator[Widget]:
    """All of them, in reading order."""
    for one in shape:
        yield from one if isinstance(one, tuple) else (one,)
