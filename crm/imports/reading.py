"""How the cells of a file are to be read: what a person chose, and a guess with its reason where nobody has.

A guess is only made where the file leaves no doubt. Whether `1,234` is a thousand or one and a bit, and whether `03/04/2025` is in
March or in April, is asked: until somebody says so such cells are reported and stored nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from crm.imports.cells import WORDS_OF_TRUTH, DateOrder, Decimal, date_orders, decimal_signs, is_serial
from crm.imports.csv_file import ENCODINGS, MAX_FOOTER, SEPARATORS, Dialect, Line, Survey
from journeys.channels import DEFAULT, ConsentSubject
from journeys.errors import Issue
from workspace.time_zones import is_zone


class Everybody(BaseModel):
    """What everybody in a file said about one channel and purpose: a consent that stands in no column. `said_at` None: the file names no
    day, so it takes nobody's withdrawal back; a row with a date of its own (`consent_…_at`) goes by that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: ConsentSubject = DEFAULT
    purpose: str = Field("marketing", pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")
    state: Literal["granted", "withdrawn", "pending"] = "granted"
    said_at: date | None = None
    source: str = Field("", max_length=200)
    wording: str = Field("", max_length=4_000)

    @property
    def moment(self) -> datetime | None:
        return datetime(self.said_at.year, self.said_at.month, self.said_at.day, tzinfo=UTC) if self.said_at else None


class Reading(BaseModel):
    """How a file is to be read. None is "found out from the file"; of date order and decimal sign it stays None where that is not possible.

    `header_line`: the line with the names of the columns (from 1, 0: there is none). `footer_rows`: so many records at the end are no rows.
    `zone`: of dates with a time that name none. `empty`: what an empty cell of a field does. `recipe`: whose export it is, "": nobody's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = Field(None, ge=0, le=1_000)
    footer_rows: int | None = Field(None, ge=0, le=MAX_FOOTER)
    date_order: DateOrder | None = None
    decimal: Decimal | None = None
    region: str | None = Field(None, pattern=r"^[A-Z]{2}$")
    zone: str = "UTC"
    empty: Literal["leave", "clear"] = "leave"
    everybody: tuple[Everybody, ...] = Field((), max_length=10)
    recipe: str | None = Field(None, max_length=40)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None and value not in ENCODINGS:
            raise ValueError(f"expected one of {', '.join(ENCODINGS)}")
        return value

    @field_validator("separator")
    @classmethod
    def _known_separator(cls, value: str | None) -> str | None:
        value = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}.get(value or "", value)
        if value is not None and value not in tuple(SEPARATORS):
            raise ValueError("expected one of comma, semicolon, tab, pipe")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("expected an IANA time zone such as Europe/Zurich")
        return value

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.encoding, self.separator, self.header_line, self.footer_rows)


@dataclass(frozen=True, slots=True)
class Guess:
    """`reading` with what could be found out; `why`: name of a choice -> the reason, as a sentence with its values."""

    reading: Reading
    why: dict[str, Issue] = field(default_factory=dict)


def complete(chosen: Reading, survey: Survey, typed: Mapping[int, str] | None = None) -> Guess:
    """Fills in what `chosen` leaves open. `typed`: index of a column -> its type; without it every column is looked at."""
    shape = survey.shape
    why = {
        "encoding": _why("the bytes of the file fit it"),
        "separator": _why("it cuts most lines into the same number of cells"),
        "header_line": _why("the first line with as many cells as the others") if shape.header_line else _why("the first line holds data"),
        "footer_rows": _why("{count} lines at the end are not data", count=shape.footer_rows) if shape.footer_rows else _why("none found"),
    }
    order, order_why = _decided(survey.sample, typed, ("date", "datetime"), date_orders, "dates")
    decimal, decimal_why = _decided(survey.sample, typed, ("number",), decimal_signs, "numbers")
    found: dict[str, Any] = {
        "encoding": shape.encoding,
        "separator": shape.separator,
        "header_line": shape.header_line,
        "footer_rows": shape.footer_rows,
    }
    if chosen.date_order is None:
        found["date_order"], why["date_order"] = order, order_why
    if chosen.decimal is None:
        found["decimal"], why["decimal"] = decimal, decimal_why
    given = {name for name in ("encoding", "separator", "header_line", "footer_rows") if getattr(chosen, name) is not None}
    return Guess(chosen.model_copy(update=found), {name: reason for name, reason in why.items() if name not in given})


def _decided(
    sample: Sequence[Line], typed: Mapping[int, str] | None, types: Iterable[str], says: Callable[[str], frozenset[Any] | None], what: str
) -> tuple[Any, Issue]:
    """The one possibility that all cells leave open; None where several stay possible, or none."""
    possible: frozenset[Any] | None = None
    first: dict[Any, int] = {}
    wanted = set(types)
    for line in sample:
        for index, cell in enumerate(line.cells):
            if line.problem or (typed is not None and typed.get(index) not in wanted):
                continue
            allowed = says(cell.strip())
            if allowed is None or "ymd" in allowed:
                continue
            possible = allowed if possible is None else possible & allowed
            if len(allowed) == 1:
                first.setdefault(next(iter(allowed)), line.number)
    if possible is None:
        return None, _why("nothing in the file depends on it")
    if len(possible) == 1:
        one = next(iter(possible))
        return one, _why("line {line} leaves no other way to read it", line=first.get(one, sample[0].number if sample else 1))
    return None, _why(BOTH[what] if not possible else OPEN[what])


BOTH = {
    "dates": "the file contains dates in both orders: choose one, the others are reported and skipped",
    "numbers": "the file contains numbers with both decimal signs: choose one, the others are reported and skipped",
}
OPEN = {
    "dates": "the file is ambiguous: please choose; until then such dates are reported and skipped",
    "numbers": "the file is ambiguous: please choose; until then such numbers are reported and skipped",
}


def _why(text: str, **values: Any) -> Issue:
    return Issue(code="why", text=text, values=values)


_AS_NUMBER = re.compile(
    r"(^|_)(count|number_of|amount|total|totals|sum|orders|revenue|umsatz|betrag|anzahl|alter|age|points|punkte|score|price|preis|spent|value|ltv|quantity)(_|$)"
)


def type_of(slug: str, values: Sequence[str]) -> str | None:
    """The type a column without one should have, by what stands in it: `date`, `datetime`, `number`, `boolean` or None (text).

    Only what can be nothing else: numbers have a sign of their own (1.5, 1'000) or a name that counts something, and no leading zero.
    """
    filled = [value for value in values if value]
    if not filled:
        return None
    if all(value.lower() in WORDS_OF_TRUTH for value in filled):
        return "boolean"
    days = [value for value in filled if date_orders(value) is not None]
    if days and all(value in days or is_serial(value) for value in filled):
        return "datetime" if any(":" in value for value in filled) else "date"
    if all(decimal_signs(value) is not None or re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", value) for value in filled):
        is_marked = any(decimal_signs(value) is not None for value in filled)
        return "number" if is_marked or _AS_NUMBER.search(slug) else None
    return None
