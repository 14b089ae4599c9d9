"""Instants as text that sorts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

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
