"""Working-hours arithmetic: when a span of working time is over. Pure; right across daylight saving.

A working day is (start, end) on the wall clock of the calendar's zone; its length is measured between the two
instants, so a day on which the clock changes inside working hours is an hour shorter or longer, as it is for people.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from journeys.clock import instant_of
from journeys.rules.facts import Calendar

LONGEST_GAP_DAYS = 366
"""More days than this in a row without working hours mean that the calendar is wrong."""


def add_working_time(start: datetime, duration: timedelta, calendar: Calendar) -> datetime:
    """The instant (aware UTC) at which `duration` of working time has passed since `start`.

    Counting begins at `start` or, outside working hours, at the next opening. Example: Mo-Fr 8 to 17, two hours from
    Friday 16:00 end on Monday 09:00. A duration of zero gives the first working instant at or after `start`.

    Raises:
        ValueError: the calendar has no working hours in a whole year.
    """
    left = duration
    day = start.astimezone(ZoneInfo(calendar.zone)).date()
    idle_days = 0
    while idle_days <= LONGEST_GAP_DAYS:
        opens, closes = working_day(day, calendar)
        opens = max(opens, start.astimezone(UTC))
        if opens < closes:
            if opens + left <= closes:
                return opens + left
            left -= closes - opens
            idle_days = 0
        idle_days += 1
        day += timedelta(days=1)
    raise ValueError(f"expected working hours on at least one day of a year, got none after {day - timedelta(days=LONGEST_GAP_DAYS)}")


def working_day(day: date, calendar: Calendar) -> tuple[datetime, datetime]:
    """(opening, closing) of a calendar day as aware UTC; equal when nobody works."""
    hours = calendar.hours.get(day.weekday())
    zone = ZoneInfo(calendar.zone)
    if hours is None or day.isoformat() in calendar.days_off:
        midnight = instant_of(day, _MIDNIGHT, zone)
        return midnight, midnight
    opens, closes = hours
    return instant_of(day, opens, zone), instant_of(day, closes, zone)


_MIDNIGHT = datetime.min.time()
