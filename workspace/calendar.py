"""The workspace's working hours as a value, with public holidays counted out."""

from __future__ import annotations

import threading
from datetime import datetime

from sqlalchemy.orm import Session

from journeys.rules.facts import Calendar
from storage.freshness import freshness
from workspace.settings import WorkCalendar, load, public_holidays

YEARS_AHEAD = 2


class Calendars:
    """Keeps the calendar of one database as long as no setting changes and the year stays the same; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], Calendar] | None = None

    def get(self, session: Session, now: datetime) -> Calendar:
        """The calendar, as fresh as the transaction of `session`."""
        mark = (freshness(session, "settings"), now.year)
        with self._lock:
            if self._known is None or self._known[0] != mark:
                self._known = (mark, load_calendar(session, now))
            return self._known[1]


def load_calendar(session: Session, now: datetime) -> Calendar:
    """The calendar from the setting `calendar`, with holidays from last year until two years ahead of `now`."""
    return build(load(session, WorkCalendar), now.year)


def build(setting: WorkCalendar, year: int) -> Calendar:
    """The calendar that a setting describes."""
    holidays = public_holidays(setting.country, setting.region, range(year - 1, year + YEARS_AHEAD + 1))
    return Calendar(setting.zone, setting.hours, holidays | {day.isoformat() for day in setting.days_off})
