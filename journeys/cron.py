"""Cron lines: `minute hour day-of-month month day-of-week`. Checks them and tells the next time. Pure.

Understands lists (1,15), ranges (1-5), steps (*/15, 8-18/2), names (mon, jan) and 7 for Sunday. When both days are
restricted either one suffices. Source: crontab(5) of Vixie cron. No seconds, no `@daily`, no `L`, `W`, `#`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from journeys.clock import instant_of

_MONTHS = {
    name: number
    for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_EXPECTED = {
    "minute": "The minute of a schedule is a number from {low} to {high}, got: “{got}”.",
    "hour": "The hour of a schedule is a number from {low} to {high}, got: “{got}”.",
    "day": "The day of a schedule is a number from {low} to {high}, got: “{got}”.",
    "month": "The month of a schedule is a number from {low} to {high} or an English name such as jan, got: “{got}”.",
    "weekday": "The weekday of a schedule is a number from {low} to {high} or an English name such as mon, got: “{got}”.",
}
_PARTS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
OPEN = "?"
"""Stands in a line of a draft for a part that nobody has chosen yet; no line that can be read has it."""
LONGEST_SEARCH_DAYS = 366 * 9
"""29 February can be eight years away (1896 to 1904, 2096 to 2104)."""


class CronError(ValueError):
    """A line that cannot be read. `text` with `values` says why, as in an `Issue`; `str(error)` in English."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


@dataclass(frozen=True, slots=True)
class Cron:
    """A line that was read. Weekdays as in cron: 0 is Sunday. `either_day`: day of month or weekday suffices."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    every_hour: bool

    def on(self, day: date) -> bool:
        """Whether the line means `day`."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def instants(self, day: date, zone: tzinfo) -> list[datetime]:
        """Its instants (aware UTC) on `day`, in order. A time that the clock skips counts once, right after the gap; a time that
        it shows twice counts once, but twice in lines that mean every hour."""
        found = {instant_of(day, time(hour, minute), zone) for hour in self.hours for minute in self.minutes}
        if self.every_hour:
            found |= _second_showings(day, [time(hour, minute) for hour in self.hours for minute in self.minutes], zone)
        return sorted(found)


def next_after(line: str, instant: datetime, zone: tzinfo) -> datetime:
    """The first instant (aware UTC) later than `instant` that `line` means on the clocks of `zone`.

    Raises:
        CronError: the line cannot be read, or means no day at all (30 February).
    """
    cron = parse(line)
    day = instant.astimezone(zone).date() - timedelta(days=1)
    for _ in range(LONGEST_SEARCH_DAYS):
        if cron.on(day):
            for at in cron.instants(day, zone):
                if at > instant:
                    return at
        day += timedelta(days=1)
    raise CronError("This schedule names a day that does not exist.")


@lru_cache(maxsize=1_000)
def parse(line: str) -> Cron:
    """Reads a line.

    Raises:
        CronError: it cannot be read, or means no day at all.
    """
    words = line.lower().split()
    if len(words) != len(_PARTS):
        raise CronError("A schedule has five parts (minute, hour, day, month, weekday), got: {count}.", count=len(words))
    minutes, hours, days, months, weekdays = (frozenset(_numbers(word, *part)) for word, part in zip(words, _PARTS, strict=True))
    cron = Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not words[2].startswith("*") and not words[4].startswith("*"),
        every_hour=words[1].startswith("*"),
    )
    if not any(cron.on(date(2000, 1, 1) + timedelta(days=n)) for n in range(366)) and not _some_day(cron):
        raise CronError("This schedule names a day that does not exist.")
    return cron


def _some_day(cron: Cron) -> bool:
    """A weekday on 29 February comes once in 28 years."""
    return any(
        cron.on(date(year, month, day))
        for year in range(2000, 2029)
        for month in cron.months
        for day in cron.days
        if _exists(year, month, day)
    )


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _numbers(word: str, what: str, low: int, high: int, names: dict[str, int]) -> Iterable[int]:
    for item in word.split(","):
        span, slash, step_text = item.partition("/")
        step = _number(step_text, what, 1, high, {}) if slash else 1
        if span == "*":
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, what, low, high, names)
            last = _number(end, what, low, high, names) if dash else (high if slash else first)
        if first > last:
            raise CronError("{span} in a schedule runs backwards.", span=span[:20])
        yield from range(first, last + 1, step)


def _number(text: str, what: str, low: int, high: int, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and low <= int(text) <= high):
        raise CronError(_EXPECTED[what], low=low, high=high, got=text[:20])
    return int(text)


def _second_showings(day: date, times: list[time], zone: tzinfo) -> set[datetime]:
    doubled: set[datetime] = set()
    for at in times:
        first = instant_of(day, at, zone)
        second = datetime.combine(day, at.replace(fold=1), tzinfo=zone)
        shown_twice = second.utcoffset() != second.replace(fold=0).utcoffset() and first.astimezone(zone).time() == at
        if shown_twice:
            doubled.add(second.astimezone(first.tzinfo))
    return doubled
