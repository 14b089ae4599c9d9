"""Daily limits and warm-ups: what finds no room today leaves at the same hour of the next day that has some, and nobody is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.providers.provider import RetryLater
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.quotas import Quotas
from crm.consent import consent
from journeys.errors import Invalid, NotFound
from models import Database
from tests.engine.test_accounts import LOFTS, Sending
from tests.engine.test_sending_rates import PROMO
from workspace import sending_plans, settings
from workspace.sending_plans import MOST, MOST_GROWTH, Plan, full_on, limit_on

MONDAY = date(2026, 3, 2)
plans = st.integers(1, MOST).flatmap(
    lambda most: st.builds(Plan, st.just(most), st.just(MONDAY), st.integers(1, min(most, 100_000)), st.integers(1, MOST_GROWTH))
)


def test_a_warm_up_grows_to_its_limit() -> None:
    plan = Plan(200, MONDAY, 50, 50)
    assert [limit_on(plan, MONDAY + timedelta(days=n)) for n in (-3, 0, 1, 2, 3, 4, 5, 9_000)] == [50, 50, 75, 112, 168, 200, 200, 200]
    assert full_on(plan) == MONDAY + timedelta(days=4)
    assert (limit_on(Plan(7), MONDAY), full_on(Plan(7))) == (7, None)
    assert full_on(Plan(MOST, date.max - timedelta(days=1), 1, 1)) is None


@given(plans, st.integers(0, 20_000))
def test_no_day_allows_less_than_the_one_before_or_more_than_the_limit(plan: Plan, number: int) -> None:
    day = MONDAY + timedelta(days=number)
    assert plan.first <= limit_on(plan, day) <= limit_on(plan, day + timedelta(days=1)) <= plan.a_day
    full = full_on(plan)
    assert full is not None
    assert limit_on(plan, full) >= plan.a_day - 1
    assert full == MONDAY or limit_on(plan, full - timedelta(days=1)) < plan.a_day


@pytest.fixture
def sending(sqlite_world: Any) -> Iterator[Any]:
    made = Sending(sqlite_world)
    made.world.now = datetime(2026, 3, 2, 15, tzinfo=UTC)
    made.world.publish(PROMO)
    made.account = made.add("alps")  # type: ignore[attr-defined]
    made.choose(made.account)  # type: ignore[attr-defined]
    with made.world.db.write() as session:
        settings.put(session, "quiet_hours", {"enabled": False, "channels": []}, "test", made.world.now)
        settings.put(session, "frequency_caps", {"caps": []}, "test", made.world.now)
    yield made
    LOFTS.clear()


def limit(sending: Any, plan: Plan) -> None:
    with sending.world.db.write() as session:
        sending_plans.put(session, sending.account, plan, "member:ada", sending.world.now)
    sending.world.now += timedelta(seconds=2)


def promos(sending: Any, count: int) -> list[str]:
    """Each to a contact of its own."""
    return [sending.world.run(sending.world.happens(somebody(sending), "Promo")) for _ in range(count)]


def somebody(sending: Any) -> str:
    sending.number = getattr(sending, "number", 0) + 1
    contact: str = sending.world.contact(phone=f"+4144668180{sending.number % 10}{sending.number // 10 or ''}", timezone="Europe/Zurich")
    with sending.world.db.write() as session:
        consent.record_consent(
            session, contact, "sms", "marketing", "granted", sending.world.now, evidence=consent.Evidence.DATED, source="test"
        )
    return contact


def attempt(sending: Any, runs: list[str]) -> list[str]:
    return [sending.attempt(run) for run in runs]


def statuses(sending: Any, runs: list[str]) -> list[tuple[str, str]]:
    return [(message.status, message.reason) for message in (sending.message(run) for run in runs)]


def test_what_has_no_room_leaves_on_the_next_days_that_have_some_at_the_same_hour(sending: Any) -> None:
    limit(sending, Plan(2))
    began, runs = sending.world.now, []
    for _ in range(5):
        runs += promos(sending, 1)
        attempt(sending, runs[-1:])
    held = [("held", "daily_limit")]
    assert statuses(sending, runs) == [("sent", "")] * 2 + held * 3
    until = [sending.message(run).held_until for run in runs[2:]]
    assert until == [began + timedelta(days=1)] * 2 + [began + timedelta(days=2)], "two a day"
    sending.world.now = began + timedelta(hours=23)
    late = promos(sending, 1)
    assert attempt(sending, late) == ["held"], "Tuesday is kept for those who wait"
    assert sending.message(late[0]).held_until.date() == MONDAY + timedelta(days=2)
    sending.world.now = began + timedelta(days=1)
    assert attempt(sending, runs[2:4]) == ["done", "done"]
    sending.world.now = began + timedelta(days=2)
    assert attempt(sending, [*runs[4:], *late]) == ["done", "done"]
    assert len(LOFTS["alps"].arrived) == 6


def test_what_finds_no_room_in_time_is_skipped_and_says_why(sending: Any) -> None:
    """Three days is what the journey waits for anything."""
    limit(sending, Plan(1))
    runs = []
    for _ in range(5):
        runs += promos(sending, 1)
        attempt(sending, runs[-1:])
    assert statuses(sending, runs)[1:] == [("held", "daily_limit")] * 3 + [("skipped", "held_too_long_daily_limit")]
    assert sending.message(runs[-1]).answer["outlet"] == "skipped"


def test_transactional_messages_leave_and_are_counted(sending: Any) -> None:
    limit(sending, Plan(2))
    assert [sending.attempt(sending.enters()) for _ in range(3)] == ["done"] * 3
    assert attempt(sending, promos(sending, 1)) == ["held"]
    with sending.world.db.read() as session:
        [today] = sending_plans.ahead_of(session, sending.account, Plan(2), MONDAY, 1)
    assert (today.taken, today.planned) == (3, 0)


def test_a_plan_that_is_taken_away_holds_nobody_any_more(sending: Any) -> None:
    limit(sending, Plan(1))
    first, second = promos(sending, 1), promos(sending, 1)
    assert attempt(sending, [*first, *second]) == ["done", "held"]
    with sending.world.db.write() as session:
        sending_plans.remove(session, sending.account, "member:ada")
    sending.world.now += timedelta(seconds=2)
    assert attempt(sending, second) == ["done"]


def test_a_message_that_is_tried_again_is_one_of_its_day(sending: Any) -> None:
    limit(sending, Plan(1))
    [run] = promos(sending, 1)
    LOFTS["alps"].next = RetryLater("pigeon_tired", timedelta(seconds=10))
    assert attempt(sending, [run]) == ["retry_later"]
    sending.world.now += timedelta(seconds=11)
    assert attempt(sending, [run]) == ["done"]


def test_several_processes_never_take_more_than_the_day_has(db: Database) -> None:
    """In blocks of a hundredth; of several that ask for the last one, one gets it. What comes back goes first on its day."""
    now = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    with db.write() as session:
        settings.put(session, "sender", {"email": "news@shop.example"}, "test", now)
        sending_plans.put(session, "@shop.example", Plan(250), "test", now)
    several = [Quotas(db, lambda: now) for _ in range(3)]
    for one in several:
        one.look()
    sent = 0
    while any(one.fetch(["@shop.example"], was_planned=False) and one.use(["@shop.example"]) for one in several):
        sent += 1
    assert 240 < sent <= 250, "the last round may have let several out at once"
    with db.read() as session:
        [today] = sending_plans.ahead_of(session, "@shop.example", Plan(250), MONDAY, 1)
    assert today.taken == 250
    with db.write() as session:
        found = [several[0].plan(session, ["@shop.example"], timedelta(days=3)) for _ in range(251)]
    assert found == [now + timedelta(days=1)] * 250 + [now + timedelta(days=2)]
    now += timedelta(days=1)
    assert not several[1].fetch(["@shop.example"], was_planned=False)
    assert several[1].fetch(["@shop.example"], was_planned=True)


def test_what_a_day_keeps_for_those_that_wait_nobody_else_gets(sqlite_db: Database) -> None:
    now, names = datetime(2026, 3, 2, 12, tzinfo=UTC), ["@shop.example"]
    with sqlite_db.write() as session:
        settings.put(session, "sender", {"email": "news@shop.example"}, "test", now)
        sending_plans.put(session, "@shop.example", Plan(1_000), "test", now)
    quotas = Quotas(sqlite_db, lambda: now)
    quotas.look()
    with sqlite_db.write() as session:
        assert {quotas.plan(session, names, timedelta(days=3)) for _ in range(995)} == {now + timedelta(days=1)}
    now += timedelta(days=1)
    left = {True: 0, False: 0}
    for number in range(1_100):
        was_planned = number % 10 == 0
        if quotas.fetch(names, was_planned=was_planned):
            left[was_planned] += quotas.use(names, was_planned=was_planned)
    while left[True] < 995 and quotas.fetch(names, was_planned=True):
        left[True] += quotas.use(names, was_planned=True)
    assert left == {True: 995, False: 5}


def test_a_day_taken_by_a_process_that_dies_is_lost_to_that_day_alone(sending: Any) -> None:
    limit(sending, Plan(300))
    assert attempt(sending, promos(sending, 1)) == ["done"]
    again = Effects(sending.world.engine, sending.effects.performers, Breakers(sending.world.db, lambda: sending.world.now))
    sending.effects = again
    assert attempt(sending, promos(sending, 1)) == ["done"]
    with sending.world.db.read() as session:
        [today] = sending_plans.ahead_of(session, sending.account, Plan(300), MONDAY, 1)
    assert today.taken == 6, "three each, of which one left"


@pytest.mark.parametrize(
    ("name", "plan", "field"),
    [
        ("pigeon.alps", Plan(0), "a_day"),
        ("pigeon.alps", Plan(MOST + 1), "a_day"),
        ("pigeon.alps", Plan(10, MONDAY, 0, 50), "first"),
        ("pigeon.alps", Plan(10, MONDAY, 11, 50), "first"),
        ("pigeon.alps", Plan(10, MONDAY, 5, 0), "growth"),
        ("pigeon.alps", Plan(10, MONDAY, 5, MOST_GROWTH + 1), "growth"),
        ("pigeon.jura", Plan(10), ""),
        ("@nobody.example", Plan(10), ""),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_its_place(sending: Any, name: str, plan: Plan, field: str) -> None:
    with sending.world.db.write() as session, pytest.raises(Invalid if field else NotFound) as refused:
        sending_plans.put(session, name, plan, "member:ada", sending.world.now)
    assert [issue.field for issue in getattr(refused.value, "issues", [])] == ([field] if field else [])
