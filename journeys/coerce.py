"""A value in the type that the catalogue knows for it: `"27.50"` is a number where a number is expected, and a date is a date in any spelling.

Only what is certain is changed: a decimal comma, a thousands separator and a day before or after its month (`11/12/2026`) are not guessed, and
nothing is changed that would lose a digit or a leading zero. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from journeys.rules import dates

Value = Any


class Unfit(Exception):
    """The value is not of the type, and cannot be made so without a guess or a loss: it stays as it came."""


def coerce(value: Value, type: str) -> Value:
    """`value` as one of `type` (of the catalogue); None, and types that say nothing, take anything.

    Raises:
        Unfit: it stays as it is.
    """
    read = _READERS.get(type)
    return value if read is None or value is None else read(value)


def is_of(value: Value, type: str) -> bool:
    """Whether the value needs no look: it is None, or has the type already. Quick, for the door."""
    return value is None or value.__class__ in _NATIVE.get(type, ANYTHING)


ANYTHING = (str, int, float, bool, list, dict)
_NATIVE: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,), "date": (), "datetime": ()}

_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?")
_DIGITS = 15
"""Significant digits that a float keeps for certain."""
_DAY = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?:,? ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?")
_EPOCH = re.compile(r"[0-9]{10}|[0-9]{13}")


def _number(value: Value) -> int | float:
    if value.__class__ in (int, float):
        return value
    text = value.strip() if isinstance(value, str) and len(value) <= 40 else ""
    if not _NUMBER.fullmatch(text) or len(re.sub(r"^[+-]?0?\.?0*|\.", "", text)) > _DIGITS:
        raise Unfit
    return float(text) if "." in text else int(text)


def _boolean(value: Value) -> bool:
    if value.__class__ is bool:
        return value
    found = _TRUTHS.get(value.strip().lower() if isinstance(value, str) else value) if isinstance(value, str | int) else None
    if found is None:
        raise Unfit
    return found


_TRUTHS: Mapping[Any, bool] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    if value.__class__ is int:
        return str(value)
    raise Unfit


def _instant(value: Value) -> str:
    """In the form that sorts (`dates`): a day where a day is said, else an instant."""
    if value.__class__ is int:
        value = str(value)
    if not isinstance(value, str) or len(value) > 64:
        raise Unfit
    text = dates.normalise(value.strip())
    if dates.moment(text) is not None:
        return str(text)
    try:
        return _spelt_otherwise(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        raise Unfit from None


def _spelt_otherwise(text: str) -> str:
    if found := _DAY.fullmatch(text):
        day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        return at.date().isoformat() if found[4] is None else dates.text_of(at)
    if _EPOCH.fullmatch(text):
        return dates.text_of(datetime.fromtimestamp(int(text) / (1 if len(text) == 10 else 1_000), UTC))
    if re.fullmatch(r"[0-9]{8}", text):
        return datetime.fromisoformat(text).date().isoformat()
    if text[:4].isdigit():
        return dates.text_of(datetime.fromisoformat(text))
    return dates.text_of(parsedate_to_datetime(text))


_READERS: Mapping[str, Callable[[Value], Value]] = {
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "date": _instant,
    "datetime": _instant,
}
