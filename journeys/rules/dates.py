"""Dates and instants as text that sorts.

An instant is `YYYY-MM-DDTHH:MM:SS.ffffffZ` (27 characters, UTC), a date `YYYY-MM-DD`; a date stands for its midnight UTC
when it is compared with an instant. Whatever writes attributes or event properties passes them through `normalise` once;
after that, comparing texts compares instants, in Python, in SQLite and in PostgreSQL alike. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?([.,][0-9]{1,12})?\s?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?", re.IGNORECASE
)
SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)?")
MIDNIGHT = "T00:00:00.000000Z"
INSTANT_LENGTH = 27
LONGEST = timedelta(days=3660)

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
