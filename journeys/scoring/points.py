"""What the occurrences of one rule's event come to on a day, and when that changes by time alone. Pure arithmetic over days of the workspace's zone.

A late event falls into the day on which it happened, so the answer depends on what happened and never on when we heard of it. Whole points: a sum
that fades is rounded, half a point up. So whatever fades is booked at most once a day, and at most once for each point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import floor

from journeys.scoring.model import MAX_EARNED, PeriodCap, ScoringRule

Days = Mapping[date, int]
"""Day -> how often it happened."""


def earned(rule: ScoringRule, days: Days, today: date) -> int:
    """The points of a rule on `today`. 10 points that fade within 30 days are 5 after 15 of them."""
    most = min(rule.most or MAX_EARNED, MAX_EARNED)
    worth = min(_faded(rule, days, today), most)
    return worth if rule.points > 0 else -worth


def next_change(rule: ScoringRule, days: Days, today: date) -> date | None:
    """The first day after `today` on which the points are others, if nothing happens; None: they stay."""
    if rule.decay is None or not days:
        return None
    now = earned(rule, days, today)
    if now == 0:
        return None
    low, high = today, max(days) + timedelta(days=rule.decay.ends_after)  # on the last nothing is left: they never grow by fading
    while low + timedelta(days=1) < high:
        middle = low + (high - low) // 2
        low, high = (middle, high) if earned(rule, days, middle) == now else (low, middle)
    return high


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins in a zone, in UTC; where the clocks jump over midnight, when they jump."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def _faded(rule: ScoringRule, days: Days, today: date) -> int:
    counted = [(day, worth) for day, worth in _capped(days, abs(rule.points), rule.most_per) if day <= today]
    if rule.decay is None:
        return sum(worth for _, worth in counted)
    ages = [((today - day).days, worth) for day, worth in counted]
    left = [(age, worth) for age, worth in ages if age < rule.decay.ends_after]
    span = rule.decay.days
    if rule.decay.kind == "linear":
        return (2 * sum(worth * (span - age) for age, worth in left) + span) // (2 * span)
    halves: float = sum(worth * 2.0 ** (-age / span) for age, worth in left)
    return floor(halves + 0.5)


def _capped(days: Days, points: int, cap: PeriodCap | None) -> Iterable[tuple[date, int]]:
    """(day, points) in order; of a period, what came first counts."""
    spent: dict[object, int] = {}
    for day in sorted(days):
        worth = days[day] * points
        if cap is not None:
            period = _period(day, cap)
            worth = min(worth, cap.points - spent.get(period, 0))
            spent[period] = spent.get(period, 0) + worth
        yield day, worth


def _period(day: date, cap: PeriodCap) -> object:
    if cap.per == "week":
        return day.isocalendar()[:2]
    return (day.year, day.month) if cap.per == "month" else day
