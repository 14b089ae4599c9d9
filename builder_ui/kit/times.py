"""A schedule for people: every Monday at 9, on the 12th of each month, on 12 December at 10. Stored as a cron line, which engineers may write
themselves.

A part that is not chosen yet stands as `?` in the line; `journeys.check` asks for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from journeys.cron import OPEN

REPEATS = {
    "day": "every day",
    "week": "on weekdays of my choice",
    "month": "once a month",
    "year": "once a year, on a date",
}
_LINE = re.compile(r"(\d{1,2}) (\d{1,2}) (\*|\?|\d{1,2}) (\*|\?|\d{1,2}) (\*|\?|[0-7](?:,[0-7])*)")
_FIRST_TIME = time(9)


@dataclass(frozen=True, slots=True)
class Times:
    """`repeat`: a key of `REPEATS`; `weekdays`: 0 is Monday; `day` of the month and `month` from 1, None: not chosen yet."""

    repeat: str
    at: time = _FIRST_TIME
    weekdays: tuple[int, ...] = ()
    day: int | None = None
    month: int | None = None

    def line(self) -> str:
        """As cron has it, where 0 is Sunday."""
        days = ",".join(str((one + 1) % 7) for one in sorted(self.weekdays))
        day, month, weekday = {
            "day": ("*", "*", "*"),
            "week": ("*", "*", days or OPEN),
            "month": (str(self.day or OPEN), "*", "*"),
            "year": (str(self.day or OPEN), str(self.month or OPEN), "*"),
        }[self.repeat]
        return f"{self.at.minute} {self.at.hour} {day} {month} {weekday}"


def read(line: str) -> Times | None:
    """What a line means, if people have a word for it."""
    found = _LINE.fullmatch(" ".join(line.split()))
    if found is None or int(found[1]) > 59 or int(found[2]) > 23:
        return None
    at, (day, month, weekdays) = time(int(found[2]), int(found[1])), found.groups()[2:]
    if weekdays != "*":
        chosen = {(int(one) + 6) % 7 for one in weekdays.split(",")} if weekdays != OPEN else set()
        return Times("week", at, tuple(sorted(chosen))) if day == month == "*" else None
    if month != "*":
        return Times("year", at, day=_number(day), month=_number(month)) if day != "*" else None
    return Times("month", at, day=_number(day)) if day != "*" else Times("day", at)


def _number(text: str) -> int | None:
    return None if text == OPEN else int(text)
