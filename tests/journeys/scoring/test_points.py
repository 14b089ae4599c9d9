"""What occurrences come to: each cap and each decay, day by day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from journeys.scoring import Definition, Grading, ScoringRule, earned, next_change
from journeys.scoring.points import midnight

FRIDAY = date(2026, 5, 29)


def rule(points: int = 10, **more: object) -> ScoringRule:
    return ScoringRule.model_validate({"id": "r", "group": "engagement", "points": points, "event": "Product Viewed", **more})


def on(*times: int) -> Counter[date]:
    """By days after that Friday."""
    return Counter(FRIDAY + timedelta(days=days) for days in times)


@pytest.mark.parametrize(
    ("more", "times", "points"),
    [
        ({}, (0, 0, 0, 1), 40),
        ({"points": -10}, (0, 1), -20),
        ({"most": 25}, (0, 0, 0, 1), 25),
        ({"most": 25, "points": -10}, (0, 0, 0, 1), -25),
        ({"most_per": {"points": 15, "per": "day"}}, (0, 0, 1), 25),
        ({"most_per": {"points": 15, "per": "week"}}, (0, 1, 2, 3), 25),  # from Monday on another week
        ({"most_per": {"points": 15, "per": "month"}}, (0, 1, 2, 3), 25),  # May ends on Sunday
        ({"most_per": {"points": 15, "per": "day"}, "most": 20}, (0, 0, 1), 20),
        ({"decay": {"kind": "linear", "days": 10}}, (0,), 5),  # five days later
        ({"decay": {"kind": "half_life", "days": 5}}, (0, 0), 10),
        ({"decay": {"kind": "linear", "days": 5}}, (0,), 0),
        ({"decay": {"kind": "linear", "days": 10}, "most_per": {"points": 12, "per": "day"}}, (0, 0), 6),
        ({"decay": {"kind": "half_life", "days": 5}, "points": -10}, (0, 5), -15),
    ],
)
def test_caps_and_decay(more: dict[str, object], times: tuple[int, ...], points: int) -> None:
    """On the fifth day after the Friday. Caps hold for what happened, and then it fades."""
    assert earned(rule(**more), on(*times), FRIDAY + timedelta(days=5)) == points  # type: ignore[arg-type]


DAYS = st.lists(st.integers(0, 40), min_size=1, max_size=8)
DECAYS = st.fixed_dictionaries({"kind": st.sampled_from(["linear", "half_life"]), "days": st.integers(1, 20)})


@given(days=DAYS, decay=DECAYS, points=st.sampled_from([1, 7, 10, -10, 250]))
def test_points_change_on_the_day_that_is_foretold_and_never_before(days: list[int], decay: object, points: int) -> None:
    one, found, today = rule(points, decay=decay), on(*days), FRIDAY + timedelta(days=40)
    while (coming := next_change(one, found, today)) is not None:
        assert all(earned(one, found, today + timedelta(days=n)) == earned(one, found, today) for n in range((coming - today).days)), (
            "nobody has to look before"
        )
        assert abs(earned(one, found, coming)) < abs(earned(one, found, today))
        today = coming
    assert earned(one, found, today) == earned(one, found, today + timedelta(days=500)) == 0


def test_a_day_begins_at_its_midnight_also_where_the_clocks_change() -> None:
    zurich, santiago = ZoneInfo("Europe/Zurich"), ZoneInfo("America/Santiago")
    assert midnight(date(2026, 3, 30), zurich) - midnight(date(2026, 3, 29), zurich) == timedelta(hours=23)
    assert midnight(date(2026, 10, 26), zurich) - midnight(date(2026, 10, 25), zurich) == timedelta(hours=25)
    jump = midnight(date(2026, 9, 6), santiago)  # there is no midnight that day
    assert (jump, jump.astimezone(santiago).date()) == (datetime(2026, 9, 6, 4, tzinfo=UTC), date(2026, 9, 6))
    assert (jump - timedelta(microseconds=1)).astimezone(santiago).date() == date(2026, 9, 5)


def test_grades() -> None:
    usual = Grading()
    assert [usual.grade(*of) for of in ((60, 60), (59.9, 0), (45, 70), (20, 19), (-5, 1000))] == ["A1", "B4", "B1", "C4", "D1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": [{"id": "a", "group": "fit", "points": 1}]},
        {"rules": [{"id": "a", "group": "fit", "points": 1, "event": "X", "rule": {"tag": "vip"}}]},
        {"rules": [{"id": "a", "group": "fit", "points": 1, "rule": {"tag": "vip"}, "decay": {"days": 3}}]},
        {"rules": [{"id": "a", "group": "fit", "points": 0, "event": "X"}]},
        {"rules": [{"id": "a", "group": "fit", "points": 1.5, "event": "X"}]},
        {"rules": [{"id": "a", "group": "fit", "points": 1, "event": "X"}] * 2},
        {"thresholds": [{"id": "a", "group": "fit", "at_least": 1, "actions": [{"kind": "send_email"}]}]},
        {"grading": {"letters": [10, 10, 5]}},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Definition.model_validate(wrong)
