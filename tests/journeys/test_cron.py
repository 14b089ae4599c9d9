from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.cron import CronError, next_after, parse

ZURICH = ZoneInfo("Europe/Zurich")


def following(line: str, start: str, count: int = 3) -> list[str]:
    instant = datetime.fromisoformat(start)
    found = []
    for _ in range(count):
        instant = next_after(line, instant, ZURICH)
        found.append(instant.astimezone(ZURICH).strftime("%a %Y-%m-%d %H:%M %z"))
    return found


def test_weekday_mornings() -> None:
    assert following("30 8 * * mon-fri", "2026-03-06T12:00+01:00", 2) == ["Mon 2026-03-09 08:30 +0100", "Tue 2026-03-10 08:30 +0100"]


def test_steps_lists_and_names() -> None:
    assert following("0 8-18/5 1,15 jan *", "2026-01-01T09:00+01:00") == [
        "Thu 2026-01-01 13:00 +0100",
        "Thu 2026-01-01 18:00 +0100",
        "Thu 2026-01-15 08:00 +0100",
    ]


def test_either_day_suffices_when_both_are_restricted() -> None:
    assert following("0 9 13 * fri", "2026-03-09T00:00+01:00") == [
        "Fri 2026-03-13 09:00 +0100",
        "Fri 2026-03-20 09:00 +0100",
        "Fri 2026-03-27 09:00 +0100",
    ]


def test_a_time_that_the_clock_skips_comes_once_right_after() -> None:
    assert following("30 2 * * *", "2026-03-28T12:00+01:00", 2) == ["Sun 2026-03-29 03:00 +0200", "Mon 2026-03-30 02:30 +0200"]


def test_a_time_that_the_clock_shows_twice_comes_once() -> None:
    assert following("30 2 * * *", "2026-10-24T12:00+02:00", 2) == ["Sun 2026-10-25 02:30 +0200", "Mon 2026-10-26 02:30 +0100"]


def test_every_hour_comes_in_every_hour() -> None:
    assert following("30 * * * *", "2026-10-25T01:45+02:00") == [
        "Sun 2026-10-25 02:30 +0200",
        "Sun 2026-10-25 02:30 +0100",
        "Sun 2026-10-25 03:30 +0100",
    ]


def test_a_leap_day() -> None:
    assert following("0 0 29 2 *", "2026-01-01T00:00+01:00", 1) == ["Tue 2028-02-29 00:00 +0100"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "five parts (minute, hour, day, month, weekday), got: 0"),
        ("* * * *", "got: 4"),
        ("60 * * * *", "The minute of a schedule is a number from 0 to 59, got: “60”."),
        ("* 24 * * *", "The hour"),
        ("* * 0 * *", "The day"),
        ("* * * 13 *", "The month"),
        ("* * * * 8", "The weekday"),
        ("5-1 * * * *", "5-1 in a schedule runs backwards."),
        ("*/0 * * * *", "from 1 to 59, got: “0”"),
        ("1,,2 * * * *", "got: “”"),
        ("x * * * *", "got: “x”"),
        ("@daily", "five parts"),
        ("0 0 30 2 *", "a day that does not exist"),
        ("٣ * * * *", "The minute"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, said: str) -> None:
    with pytest.raises(CronError) as refused:
        parse(line)
    assert said in str(refused.value)


# 2020 to 2029
instants = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def part(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # croniter reads a range of one number (0-0) as the whole range.
    span = st.tuples(number, number).filter(lambda ends: ends[0] != ends[1]).map(lambda ends: f"{min(ends)}-{max(ends)}")
    return st.one_of(st.just("*"), number.map(str), span, st.integers(1, min(high, 12)).map(lambda n: f"*/{n}"))


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(part(0, 59), part(0, 23), part(1, 28), part(1, 12), st.just("*")),
    instants,
)
def test_it_agrees_with_croniter_where_the_clock_does_not_change(parts: tuple[str, ...], start: datetime) -> None:
    line = " ".join(parts)
    assert next_after(line, start, UTC) == croniter(line, start).get_next(datetime)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(part(0, 59), part(0, 23), st.just("*"), st.just("*"), part(0, 6)),
    instants,
)
def test_the_next_is_later_and_within_two_weeks(parts: tuple[str, ...], start: datetime) -> None:
    found = next_after(" ".join(parts), start, ZURICH)
    assert start < found < start + timedelta(days=14)
