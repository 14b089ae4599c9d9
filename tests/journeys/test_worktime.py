from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.rules.facts import Calendar
from journeys.worktime import add_working_time

OFFICE = Calendar()


def zurich(text: str) -> datetime:
    """Wall time in winter or summer, with its offset written out."""
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-03-02T09:00+01:00", 2, "2026-03-02T11:00+01:00"),
        ("2026-03-06T16:00+01:00", 2, "2026-03-09T09:00+01:00"),
        ("2026-03-02T06:00+01:00", 2, "2026-03-02T10:00+01:00"),
        ("2026-03-02T20:00+01:00", 2, "2026-03-03T10:00+01:00"),
        ("2026-03-07T12:00+01:00", 0, "2026-03-09T08:00+01:00"),
        ("2026-03-02T15:00+01:00", 2, "2026-03-02T17:00+01:00"),
        ("2026-03-02T08:00+01:00", 45, "2026-03-06T17:00+01:00"),
        ("2026-03-27T16:00+01:00", 2, "2026-03-30T09:00+02:00"),
        ("2026-10-23T16:00+02:00", 2, "2026-10-26T09:00+01:00"),
    ],
)
def test_nights_and_weekends_do_not_count(start: str, hours: int, end: str) -> None:
    assert add_working_time(zurich(start), timedelta(hours=hours), OFFICE) == zurich(end)


def test_days_off_do_not_count() -> None:
    calendar = Calendar(days_off=frozenset({"2026-04-03", "2026-04-06"}))
    assert add_working_time(zurich("2026-04-02T16:00+02:00"), timedelta(hours=2), calendar) == zurich("2026-04-07T09:00+02:00")


def test_a_night_shift_has_the_hour_that_the_clock_skips_missing() -> None:
    nights = Calendar(hours={6: (time(1), time(5))})
    assert add_working_time(zurich("2026-03-28T12:00+01:00"), timedelta(hours=3), nights) == zurich("2026-03-29T05:00+02:00")
    assert add_working_time(zurich("2026-10-24T12:00+02:00"), timedelta(hours=3), nights) == zurich("2026-10-25T03:00+01:00")


def test_the_calendar_has_its_own_zone() -> None:
    york = Calendar(zone="America/New_York")
    assert add_working_time(zurich("2026-03-02T09:00+01:00"), timedelta(hours=1), york) == zurich("2026-03-02T09:00-05:00")


@pytest.mark.parametrize("calendar", [Calendar(hours={}), Calendar(hours={0: (time(9), time(9))})])
def test_a_calendar_without_working_hours_is_an_error(calendar: Calendar) -> None:
    with pytest.raises(ValueError, match="expected working hours"):
        add_working_time(zurich("2026-03-02T09:00+01:00"), timedelta(hours=1), calendar)


# 2020 to 2029
instants = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
spans = st.integers(0, 200_000).map(lambda seconds: timedelta(seconds=seconds))


@settings(max_examples=100, deadline=None)
@given(instants, spans, spans)
def test_twice_is_the_same_as_once(start: datetime, one: timedelta, other: timedelta) -> None:
    at_once = add_working_time(start, one + other, OFFICE)
    step_by_step = add_working_time(add_working_time(start, one, OFFICE), other, OFFICE)
    # The close of one day and the opening of the next are the same working instant.
    assert add_working_time(at_once, timedelta(seconds=1), OFFICE) == add_working_time(step_by_step, timedelta(seconds=1), OFFICE)


@settings(max_examples=100, deadline=None)
@given(instants, spans)
def test_it_never_ends_before_the_time_itself_has_passed(start: datetime, span: timedelta) -> None:
    assert add_working_time(start, span, OFFICE) >= start + span
