"""Instants as text that sorts."""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.rules import dates


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("2026-03-01T09:30:00+01:00", "2026-03-01T08:30:00.000000Z"),
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01 09:30", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01t09:30:00.1234567z", "2026-03-01T09:30:00.123456Z"),
        ("2026-03-01T09:30:00,5-0330", "2026-03-01T13:00:00.500000Z"),
        ("2026-03-01T23:30:00+01", "2026-03-01T22:30:00.000000Z"),
        ("2026-03-01 09:30:00 +01:00", "2026-03-01T08:30:00.000000Z"),
        ("2026-03-01", "2026-03-01"),
        ("2026-02-30T10:00:00Z", "2026-02-30T10:00:00Z"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
        ("2026-03-01T09:30.5Z", "2026-03-01T09:30.5Z"),
        ("20260301T093000Z", "20260301T093000Z"),
        ("20260301", "20260301"),
        ("2026-03-01T09:30:00Z and more", "2026-03-01T09:30:00Z and more"),
        ("٢٠٢٦-03-01T09:30:00Z", "٢٠٢٦-03-01T09:30:00Z"),
        ("", ""),
    ],
)
def test_normalise(given_text: str, stored: str) -> None:
    assert dates.normalise(given_text) == stored
    assert dates.normalise(stored) == stored


def test_objects_and_nested_values() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    value = {"at": noon, "list": [date(2026, 3, 1), "2026-03-01T09:30:00Z", 5, None], "naive": datetime(2026, 3, 1)}  # noqa: DTZ001
    assert dates.normalise_deep(value) == {
        "at": "2026-03-01T10:00:00.000000Z",
        "list": ["2026-03-01", "2026-03-01T09:30:00.000000Z", 5, None],
        "naive": "2026-03-01T00:00:00.000000Z",
    }


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_texts_sort_as_instants_do(one: datetime, other: datetime) -> None:
    try:
        first, second = dates.text_of(one), dates.text_of(other)
    except OverflowError:
        return
    assert (first < second) is (one.astimezone(UTC) < other.astimezone(UTC))
    assert dates.moment(first) == one.astimezone(UTC)
    assert dates.normalise(first) == first


@given(st.text())
def test_any_text_is_left_alone_or_becomes_an_instant(text: str) -> None:
    stored = dates.normalise(text)
    assert stored == text or dates.instant(stored) is not None


def test_a_date_is_its_midnight() -> None:
    assert dates.instant("2026-03-01") == "2026-03-01T00:00:00.000000Z"
    assert dates.moment("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    assert dates.moment("2026-13-01") is None
    assert dates.instant(20260301) is None


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("P3D", timedelta(days=3)),
        ("-PT2H", timedelta(hours=-2)),
        ("P3660D", timedelta(days=3660)),
        ("P3661D", None),
        ("3 days", None),
        ("P", None),
        (3, None),
        (None, None),
    ],
)
def test_durations(text: object, span: timedelta | None) -> None:
    assert dates.duration(text) == span


# --- The day a value means -----------------------------------------------------------------------------------------

ZONES = st.sampled_from(sorted(available_timezones() - {"localtime"}) + ["Pacific/Kiritimati", "Pacific/Pago_Pago"] * 40)
YEARS = {"min_value": datetime(1801, 1, 2), "max_value": datetime(2200, 1, 1)}  # noqa: DTZ001


@pytest.mark.parametrize(
    ("value", "zone", "day"),
    [
        ("1990-05-04", "Pacific/Pago_Pago", date(1990, 5, 4)),
        ("1990-05-04", "Pacific/Kiritimati", date(1990, 5, 4)),
        ("1990-05-04T22:00:00Z", "Europe/Berlin", date(1990, 5, 5)),
        ("1990-05-04T22:00:00Z", "America/New_York", date(1990, 5, 4)),
        ("1990-05-05T00:00:00+09:00", "Asia/Tokyo", date(1990, 5, 5)),
        ("1990-05-04T15:00:00.000000Z", "Asia/Tokyo", date(1990, 5, 5)),
        ("1990-05-04 23:30", "Europe/Berlin", date(1990, 5, 5)),
        ("1990-12-31T23:30:00Z", "Europe/Berlin", date(1991, 1, 1)),
        ("1991-01-01T10:30:00Z", "Pacific/Pago_Pago", date(1990, 12, 31)),
        (" 1990-05-04 ", "UTC", date(1990, 5, 4)),
        ("19900504", "Europe/Berlin", date(1990, 5, 4)),
        ("19900504T220000Z", "Europe/Berlin", date(1990, 5, 5)),
        (641858400, "Europe/Berlin", date(1990, 5, 5)),
        (641858400000, "Europe/Berlin", date(1990, 5, 5)),
        (641858400000.0, "America/New_York", date(1990, 5, 4)),
        (-86_400, "UTC", date(1969, 12, 31)),
        (datetime(1990, 5, 4, 22, tzinfo=UTC), "Europe/Berlin", date(1990, 5, 5)),
        (date(1990, 5, 4), "Asia/Tokyo", date(1990, 5, 4)),
        ("soon", "UTC", None),
        ("", "UTC", None),
        ("1990-02-30", "UTC", None),
        ("9999-12-31", "UTC", None),
        ("9999-12-31T23:59:59Z", "Asia/Tokyo", None),
        ("0001-01-01T00:00:00+05:00", "UTC", None),
        ("1" * 5_000, "UTC", None),
        (True, "UTC", None),
        (None, "UTC", None),
        (["1990-05-04"], "UTC", None),
        (float("inf"), "UTC", None),
        (float("nan"), "UTC", None),
        (10**400, "UTC", None),
    ],
)
def test_the_day_a_value_means_for_a_contact(value: object, zone: str, day: date | None) -> None:
    assert dates.day_of(value, ZoneInfo(zone)) == day


@given(st.datetimes(**YEARS, timezones=st.just(UTC)), ZONES)
def test_an_instant_means_the_day_that_clocks_show_there(at: datetime, name: str) -> None:
    """Whatever it is spelled in: by its zone, in UTC, stored, or as a number."""
    zone = ZoneInfo(name)
    at = at.replace(microsecond=0)
    shown = at.astimezone(zone).date()
    spelled = [at.isoformat(), at.astimezone(timezone(timedelta(hours=-7))).isoformat(), dates.text_of(at), at.replace(tzinfo=None), at]
    assert {dates.day_of(value, zone) for value in spelled} == {shown}
    if abs(at.timestamp()) > dates.SECONDS_AT_MOST / 1000:
        assert dates.day_of(at.timestamp() * 1000, zone) == shown
    assert dates.day_of(int(at.timestamp()), zone) == shown


@given(st.dates(date(1801, 1, 1), date(2200, 1, 1)), ZONES)
def test_a_day_is_the_same_everywhere(day: date, name: str) -> None:
    assert dates.day_of(day.isoformat(), ZoneInfo(name)) == day
    assert dates.wall_time(day, ZoneInfo(name)) == datetime.combine(day, time())


@given(st.dates(date(1801, 1, 1), date(2200, 1, 1)), st.integers(1801, 2200))
def test_there_is_one_anniversary_a_year(day: date, year: int) -> None:
    """Who was born on 29 February celebrates on the 28th where there is no 29th; everybody else on the day."""
    celebrated = [on for n in range(366) if (on := date(year, 1, 1) + timedelta(days=n)).year == year and dates.in_year(day, year) == on]
    leap = (day.month, day.day) == (2, 29) and not isleap(year)
    assert celebrated == [date(year, 2, 28) if leap else day.replace(year=year)]


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text()) | st.none(), ZONES)
def test_whatever_is_stored_is_a_day_or_none(value: object, name: str) -> None:
    day = dates.day_of(value, ZoneInfo(name))
    assert day is None or day.year in range(1799, 9001)
