"""Time of day in a zone: which instant a wall clock means, and when it shows a time next. Pure; right across daylight saving.

The two odd cases have one answer each, everywhere. A time that the clock skips in spring (02:30) means the first
instant after the gap (03:00). A time that the clock shows twice in autumn means the first of the two.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MIDNIGHT = time(0)
_QUIET_SPANS = 20
"""More than there are in nine days: a night and a quiet day each."""


def zone_of(name: object, fallback: str) -> tzinfo:
    """The zone called `name`, else `fallback`, else UTC; unknown names count as missing."""
    return (_zone(name) if isinstance(name, str) else None) or _zone(fallback) or UTC


@lru_cache(maxsize=700)
def _zone(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def instant_of(day: date, at: time, zone: tzinfo) -> datetime:
    """The instant (aware UTC) at which clocks in `zone` show `at` on `day`."""
    wall = datetime.combine(day, at.replace(tzinfo=None, fold=0), tzinfo=zone)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    return _end_of_gap(wall)


def _end_of_gap(wall: datetime) -> datetime:
    """The instant of the clock change that skipped `wall`.

    Source: PEP 495: inside a gap, fold=1 reads as an instant before the change and fold=0 as one after it.
    """
    low, high = (wall.replace(fold=fold, microsecond=0).astimezone(UTC) for fold in (1, 0))
    offset = low.astimezone(wall.tzinfo).utcoffset()
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(wall.tzinfo).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def next_clock_time(after: datetime, at: time, zone: tzinfo, weekdays: Collection[int] = range(7)) -> datetime:
    """The first instant (aware UTC) later than `after` at which clocks show `at` on one of `weekdays` (0 = Monday)."""
    day = after.astimezone(zone).date()
    for days in range(-1, 9):
        candidate = day + days * _DAY
        if candidate.weekday() in weekdays and (instant := instant_of(candidate, at, zone)) > after:
            return instant
    raise ValueError("expected at least one weekday from 0 to 6, got none")


def next_opening(instant: datetime, weekdays: Collection[int], start: time, end: time, zone: tzinfo) -> datetime:
    """`instant` itself when it lies in a window, else the start of the next one (aware UTC).

    A window runs from `start` (inclusive) to `end` (exclusive) on each of `weekdays`; with `end` at or before `start` it
    passes midnight and belongs to the day on which it starts.
    """
    day = instant.astimezone(zone).date()
    for days in range(-1, 9):
        candidate = day + days * _DAY
        if candidate.weekday() not in weekdays:
            continue
        opens, closes = _window(candidate, start, end, zone)
        if instant < closes:
            return max(opens, instant.astimezone(UTC))
    raise ValueError("expected at least one weekday from 0 to 6, got none")


def earliest_allowed(instant: datetime, start: time, end: time, zone: tzinfo, quiet_days: Collection[int] = ()) -> datetime | None:
    """`instant` itself, or the end of the quiet time it falls into (aware UTC); None if it is never over.

    It is quiet from `start` (inclusive) to `end` (exclusive), past midnight where `end` is earlier, never where they are equal;
    and from midnight to midnight on `quiet_days` (0 = Monday).
    """
    at = instant.astimezone(UTC)
    for _ in range(_QUIET_SPANS):
        spans = _quiet_around(at.astimezone(zone).date(), start, end, zone, tuple(quiet_days))
        over = max((ends for begins, ends in spans if begins <= at < ends), default=at)
        if over == at:
            return at
        at = over
    return None


@lru_cache(maxsize=5_000)  # contacts share zones and days, and this costs as much as all else that the gate decides
def _quiet_around(today: date, start: time, end: time, zone: tzinfo, quiet_days: tuple[int, ...]) -> tuple[tuple[datetime, datetime], ...]:
    """The quiet spans that may hold an instant of `today`. Tomorrow counts, too: where clocks go back at midnight it begins twice."""
    spans = []
    for day in (today - _DAY, today, today + _DAY):
        if start != end:
            spans.append(_window(day, start, end, zone))
        if day.weekday() in quiet_days:
            spans.append((instant_of(day, _MIDNIGHT, zone), instant_of(day + _DAY, _MIDNIGHT, zone)))
    return tuple(spans)


def _window(day: date, start: time, end: time, zone: tzinfo) -> tuple[datetime, datetime]:
    last_day = day if start < end else day + _DAY
    return instant_of(day, start, zone), instant_of(last_day, end, zone)
