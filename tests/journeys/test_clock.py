from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.clock import earliest_allowed, instant_of, next_clock_time, next_opening

ZURICH = ZoneInfo("Europe/Zurich")
ZONES = [ZURICH, *map(ZoneInfo, ("America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "UTC"))]
zones = st.sampled_from(ZONES)
# 2005 to 2037
instants = st.integers(1_104_537_600, 2_145_916_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
days = st.dates(date(2005, 1, 1), date(2037, 12, 31))
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "at", "zone", "expected"),
    [
        ("2026-01-15", "09:00", "Europe/Zurich", "2026-01-15T08:00"),
        ("2026-07-15", "09:00", "Europe/Zurich", "2026-07-15T07:00"),
        ("2026-03-29", "02:30", "Europe/Zurich", "2026-03-29T01:00"),
        ("2026-03-29", "02:00", "Europe/Zurich", "2026-03-29T01:00"),
        ("2026-03-29", "03:00", "Europe/Zurich", "2026-03-29T01:00"),
        ("2026-10-25", "02:30", "Europe/Zurich", "2026-10-25T00:30"),
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),
        ("2011-12-30", "12:00", "Pacific/Apia", "2011-12-30T10:00"),
        ("2026-01-15", "12:00", "Asia/Kathmandu", "2026-01-15T06:15"),
    ],
)
def test_the_instant_that_a_clock_means(day: str, at: str, zone: str, expected: str) -> None:
    assert instant_of(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(zone)) == utc(expected)


@settings(max_examples=200, deadline=None)
@given(days, minutes, zones)
def test_the_clock_shows_the_time_unless_it_skipped_it(day: date, at: time, zone: ZoneInfo) -> None:
    instant = instant_of(day, at, zone)
    shown = instant.astimezone(zone)
    if shown.replace(tzinfo=None) != datetime.combine(day, at):
        before = (instant - timedelta(seconds=1)).astimezone(zone)
        assert before.replace(tzinfo=None) < datetime.combine(day, at) < shown.replace(tzinfo=None)
    else:
        assert shown.fold == 0


@settings(max_examples=200, deadline=None)
@given(days, minutes, minutes, zones)
def test_later_on_the_clock_is_never_earlier_in_time(day: date, one: time, other: time, zone: ZoneInfo) -> None:
    early, late = sorted((one, other))
    assert instant_of(day, early, zone) <= instant_of(day, late, zone)


@settings(max_examples=200, deadline=None)
@given(instants, minutes, zones, st.sets(st.integers(0, 6), min_size=1))
def test_the_next_clock_time_is_the_next(after: datetime, at: time, zone: ZoneInfo, weekdays: set[int]) -> None:
    found = next_clock_time(after, at, zone, weekdays)
    assert after < found <= after + timedelta(days=8, hours=25)
    between = {(after + timedelta(days=n)).astimezone(zone).date() for n in range(-1, 10)}
    earlier = [instant_of(day, at, zone) for day in between if day.weekday() in weekdays]
    assert not [instant for instant in earlier if after < instant < found]


@settings(max_examples=200, deadline=None)
@given(instants, minutes, minutes, zones, st.sets(st.integers(0, 6), min_size=1))
def test_an_opening_is_inside_its_window(instant: datetime, start: time, end: time, zone: ZoneInfo, weekdays: set[int]) -> None:
    found = next_opening(instant, weekdays, start, end, zone)
    assert instant <= found <= instant + timedelta(days=9)
    assert next_opening(found, weekdays, start, end, zone) == found


NIGHT = (time(21), time(8))


@pytest.mark.parametrize(
    ("instant", "allowed"),
    [
        ("2026-01-15T12:00", "2026-01-15T12:00"),
        ("2026-01-15T20:00", "2026-01-16T07:00"),
        ("2026-01-15T19:59", "2026-01-15T19:59"),
        ("2026-01-16T03:00", "2026-01-16T07:00"),
        ("2026-01-16T07:00", "2026-01-16T07:00"),
        ("2026-03-28T22:00", "2026-03-29T06:00"),
        ("2026-10-24T22:00", "2026-10-25T07:00"),
    ],
)
def test_quiet_hours_over_midnight(instant: str, allowed: str) -> None:
    assert earliest_allowed(utc(instant), *NIGHT, ZURICH) == utc(allowed)


def test_quiet_hours_at_noon() -> None:
    noon = (time(12), time(13))
    assert earliest_allowed(utc("2026-01-15T11:30"), *noon, ZURICH) == utc("2026-01-15T12:00")
    assert earliest_allowed(utc("2026-01-15T12:30"), *noon, ZURICH) == utc("2026-01-15T12:30")


def test_no_quiet_hours() -> None:
    now = utc("2026-01-15T23:00")
    assert earliest_allowed(now, time(9), time(9), ZURICH) == now
    assert earliest_allowed(now, time(9), time(9), ZURICH, range(7)) is None


@settings(max_examples=200, deadline=None)
@given(instants, minutes, minutes, zones)
def test_what_is_allowed_is_allowed_and_never_a_day_away(instant: datetime, start: time, end: time, zone: ZoneInfo) -> None:
    allowed = earliest_allowed(instant, start, end, zone)
    assert allowed is not None
    assert instant <= allowed <= instant + timedelta(hours=26)
    assert earliest_allowed(allowed, start, end, zone) == allowed


def first_shown(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Minute by minute: when the clock shows `at` on `day` or something later for the first time."""
    wanted = datetime.combine(day, at)
    minute = wanted.replace(tzinfo=UTC) - timedelta(hours=26)
    while minute.astimezone(zone).replace(tzinfo=None) < wanted:
        minute += timedelta(minutes=1)
    return minute


def quiet_spans(days: list[date], start: time, end: time, zone: ZoneInfo, quiet_days: set[int]) -> list[tuple[datetime, datetime]]:
    found = []
    for day in days:
        tomorrow = day + timedelta(days=1)
        if start != end:
            found.append((first_shown(day, start, zone), first_shown(day if start < end else tomorrow, end, zone)))
        if day.weekday() in quiet_days:
            found.append((first_shown(day, time(0), zone), first_shown(tomorrow, time(0), zone)))
    return found


CHANGES = ["2026-03-28", "2026-10-24", "2026-10-03", "2011-12-29", "2009-10-31", "2026-02-28", "2025-12-31"]
"""The days before clocks change in one of the zones, or a date is skipped; and a month's and a year's end."""
near_changes = st.builds(
    lambda day, minutes: utc(f"{day}T00:00") + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(0, 3_000)
)


@settings(max_examples=60, deadline=None)
@given(
    near_changes, minutes, minutes, st.sampled_from([*ZONES, ZoneInfo("America/St_Johns"), ZoneInfo("America/Havana")]),
    st.sets(st.integers(0, 6), max_size=3),
)  # fmt: skip
def test_quiet_time_is_what_walking_minute_by_minute_finds(
    now: datetime, start: time, end: time, zone: ZoneInfo, quiet_days: set[int]
) -> None:
    today = now.astimezone(zone).date()
    spans = quiet_spans([today + timedelta(days=n) for n in range(-2, 7)], start, end, zone, quiet_days)
    minute = now
    while any(begins <= minute < ends for begins, ends in spans):
        minute += timedelta(minutes=1)
    assert earliest_allowed(now, start, end, zone, quiet_days) == minute
