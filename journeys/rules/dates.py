"""Dates and instants as text that sorts.

An instant is `YYYY-MM-DDTHH:MM:SS.ffffffZ` (27 characters, UTC), a date `YYYY-MM-DD`; a date stands for its midnight UTC
when it is compared with an instant. Whatever writes attributes or event properties passes them through `normalise` once;
after that, comparing texts compares instants, in Python, in SQLite and in PostgreSQL alike. Nothing here reads a clock.

Which calendar day a stored value means is another question: it has an answer only for a contact, whose clock shows the day. `day_of`
and `wall_time` are its only answer; triggers and steps that go by a date ask them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from pydantic import TypeAdapter, ValidationError

ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?([.,][0-9]{1,12})?\s?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?", re.IGNORECASE
)
SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)?")
MIDNIGHT = "T00:00:00.000000Z"
INSTANT_LENGTH = 27
LONGEST = timedelta(days=3660)
YEARS = range(1800, 9000)
"""Dates outside come from broken imports; near the ends of the calendar arithmetic would overflow."""
SECONDS_AT_MOST = 10**10
"""A larger number counts milliseconds since 1970 (as seconds it would lie past 2286)."""
LONGEST_TEXT = 64

_duration: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def normalise(value: Any) -> Any:
    """An ISO 8601 date-time (text or object; without zone it is UTC) in the form that sorts; anything else as it is.

    `2026-03-01T09:30:00+01:00` -> `2026-03-01T08:30:00.000000Z`. Text is changed only in the extended format with a time, so an
    order number such as `20260301` stays what it is.
    """
    if value.__class__ is str:
        return _normalise_text(value)
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def normalise_deep(value: Any) -> Any:
    """`normalise` for every value inside lists and objects."""
    if isinstance(value, Mapping):
        return {key: normalise_deep(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [normalise_deep(inner) for inner in value]
    return normalise(value)


def text_of(moment: datetime) -> str:
    """The instant as text that sorts; without zone it is UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def instant(value: Any) -> str | None:
    """The value as instant text when it is a normalised date or instant, else None. Only the shape is looked at (month 13 passes)."""
    if value.__class__ is not str or not SHAPE.fullmatch(value):
        return None
    return value if len(value) == INSTANT_LENGTH else value + MIDNIGHT


def moment(value: Any) -> datetime | None:
    """The aware instant of a normalised date or instant, None if it is none."""
    text = instant(value)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def read(value: Any) -> date | None:
    """What a text says: a day (`date`) or an instant (an aware `datetime`), in any form that `normalise` takes; None if neither."""
    at = moment(normalise(value))
    return at.date() if at is not None and len(value) == len("2026-01-01") else at


def wall_time(value: Any, zone: tzinfo) -> datetime | None:
    """What clocks in `zone` show (naive) at a stored date or instant; None when it is neither. A day alone is its midnight.

    Takes days, instants in any ISO 8601 form (without a zone they are UTC) and numbers: seconds since 1970, past 10^10 milliseconds.
    `1990-05-04T22:00:00Z` -> 5 May, 00:00 in Berlin and 4 May, 18:00 in New York; `1990-05-04` -> 4 May, 00:00 everywhere.
    """
    said = _stored(value)
    if said is None or said.year not in YEARS:
        return None
    return said.astimezone(zone).replace(tzinfo=None) if isinstance(said, datetime) else datetime.combine(said, time())


def day_of(value: Any, zone: tzinfo) -> date | None:
    """The calendar day that a stored date or instant means for a contact whose clock is `zone`; None when it is neither."""
    wall = wall_time(value, zone)
    return None if wall is None else wall.date()


def in_year(day: date, year: int) -> date:
    """The anniversary of `day` in `year`: of 29 February the 28th, where the year has none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def _stored(value: Any) -> date | None:
    """A day (`date`) or an instant (an aware `datetime`)."""
    if isinstance(value, str):
        text = value.strip()
        return read(text) or _other_iso(text)
    if isinstance(value, datetime):
        return moment(text_of(value))
    if isinstance(value, date):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _since_1970(value)
    return None


def _other_iso(text: str) -> date | None:
    """The forms of ISO 8601 that `normalise` leaves alone, for they may be order numbers: here somebody says that it is a date."""
    if len(text) > LONGEST_TEXT:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return moment(text_of(datetime.fromisoformat(text)))
    except (ValueError, OverflowError):
        return None


def _since_1970(number: float) -> datetime | None:
    try:
        seconds = number if abs(number) <= SECONDS_AT_MOST else number / 1000
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):  # no number, or past the end of the calendar
        return None


def duration(value: Any) -> timedelta | None:
    """An ISO 8601 duration text (`P3D`, `-PT2H`) of at most ten years, else None."""
    if not isinstance(value, str) or not value.lstrip("+-").startswith("P"):
        return None
    try:
        span = _duration.validate_python(value)
    except ValidationError:
        return None
    return span if abs(span) <= LONGEST else None


def _normalise_text(value: str) -> str:
    if len(value) < 16 or value[4] != "-" or value[7] != "-":
        return value
    found = ISO.fullmatch(value)
    if found is None:
        return value
    day, clock, seconds, fraction, zone = found.groups()
    if fraction and not seconds:
        return value
    digits = (fraction or ".0")[1:7].ljust(6, "0")
    try:
        return text_of(datetime.fromisoformat(f"{day}T{clock}{seconds or ':00'}.{digits}{(zone or 'Z').upper()}"))
    except (ValueError, OverflowError):
        return value
