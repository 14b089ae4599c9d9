"""Messages of several journeys that are due for one contact at once: who goes first, and what becomes of the others.

With the workspace's settings as they are shipped, and the settings of the journeys of the gallery.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.providers.provider import Answer, DeliveryCheck, MessageDead, Outgoing, RetryLater
from activities.sending import ledger
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.handler import Draft, Job
from activities.sending.messages import MessageHandler, MessageSettings
from activities.tracking import Tracking
from crm.consent import consent
from engine.interpreter.gate import Verdict
from engine.runs import operations
from engine.runs.step import Moved
from engine.temporal.wakeups import Wakeups
from engine.versions import publish
from journeys.calls import activity_of
from models import Run
from tests.engine.conftest import Counting, World
from workspace import settings

GALLERY = Path(__file__).parents[2] / "journeys" / "templates"
EVENING = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
"""22:00 in Zurich."""
MORNING = datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
NEXT_MORNING = MORNING + timedelta(days=1)
NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


@dataclass
class Line:
    """A provider that notes what it is given."""

    name: str = "line"
    delivery_check: DeliveryCheck = "idempotent"
    timeout_seconds: float = 5.0
    sent: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def send(self, message: Outgoing) -> Answer:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message.text)
        return Answer(provider_id=message.message_id)

    def lookup(self, once_key: str) -> Answer | None:
        return None


class Asking(MessageHandler):
    """Counts how often the gate is asked."""

    asked: int

    def ask(self, session: Any, contact: Any, job: Job, draft: Draft) -> Verdict:
        self.asked = getattr(self, "asked", 0) + 1
        return super().ask(session, contact, job, draft)


class Due:
    """A contact, and journeys of one text message each whose workflows are played by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = Line()
        messaging = MessageSettings(Tracking({"k": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.org>")
        self.performer = Asking(messaging, self.provider, "sms")
        self.effects = Effects(world.engine, {"sms": self.performer, "webhook": Counting()}, Breakers(world.db))
        self.contact = world.contact(phone="+41446681800", timezone="Europe/Zurich")
        world.now = EVENING
        for purpose in ("marketing", "newsletter"):
            self.says("granted", purpose)

    def says(self, state: str, purpose: str) -> None:
        with self.world.db.write() as session:
            consent.record_consent(
                session, self.contact, "sms", purpose, state, self.world.now, evidence=consent.Evidence.DATED, source="test"
            )

    def journey(self, key: str, like: str, **changes: Any) -> str:
        """A journey with the settings of one in the gallery; enters on the event of its own name."""
        gallery = json.loads((GALLERY / like / "journey.json").read_text("utf-8"))["settings"]
        return self.world.publish(
            {
                "spec": 1, "key": key, "name": key, "settings": {**gallery, **changes},
                "entry": {"triggers": [{"type": "event", "event": key}], "reentry": {"policy": "after_exit"}},
                "exit_when": [{"event": f"Order {key}"}],
                "start": "text",
                "nodes": {"text": {"kind": "send_sms", "text": key}, "end": {"kind": "exit"}},
                "edges": [{"from": "text", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
            }
        )  # fmt: skip

    def enters(self, key: str) -> str:
        """The run, with its message asked for once."""
        run = self.world.run(self.world.happens(self.contact, key))
        self.attempt(run)
        return run

    def attempt(self, run: str) -> Moved | None:
        """The activity of the run's message; None if it comes back by itself."""
        try:
            return perform(self.effects, activity_of("sms"), run, self.world.row(run).step, self.world.now)
        except ApplicationError as error:
            if error.type not in ("held", "retry_later"):
                raise
            return None

    def message(self, run: str) -> Any:
        [only] = self.world.messages(run)
        return only

    def stands(self, run: str) -> tuple[str, str, datetime | None]:
        found = self.message(run)
        return found.status, found.reason, found.held_until

    def at(self, moment: datetime, *due: str) -> None:
        self.world.now = moment
        for run in due:
            self.attempt(run)


@pytest.fixture
def due(world: World) -> Due:
    return Due(world)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claimed call must begin within two seconds; how long a machine takes for that is not what is tested here."""
    monkeypatch.setattr("activities.sending.effect.time", SimpleNamespace(monotonic=lambda: 0.0))


def both(due: Due, first: str = "cart", **changes: Any) -> tuple[str, str]:
    """A cart left behind and a welcome, both due at ten in the evening."""
    due.journey("cart", "cart_abandonment")
    due.journey("welcome", "welcome", **changes)
    runs = {key: due.enters(key) for key in sorted(("cart", "welcome"), key=lambda key: key != first)}
    return runs["cart"], runs["welcome"]


def test_the_less_important_one_goes_in_the_first_window_after_the_other(due: Due) -> None:
    cart, welcome = both(due)
    assert due.stands(cart) == ("held", "quiet_hours", MORNING)
    assert due.stands(welcome) == ("held", "in_line", NEXT_MORNING), "twenty hours later it is night again"
    due.at(MORNING, cart)
    due.at(NEXT_MORNING, welcome)
    assert due.provider.sent == ["cart", "welcome"]
    assert due.performer.asked == 4, "once when it came, once when it went"


@pytest.mark.parametrize("first_asked", ["cart", "welcome"])
def test_who_came_first_gives_way_to_who_is_more_important(due: Due, first_asked: str) -> None:
    cart, welcome = both(due, first="welcome")
    assert due.stands(welcome) == ("held", "quiet_hours", MORNING), "nothing else was there"
    due.at(MORNING, *((cart, welcome) if first_asked == "cart" else (welcome, cart)))
    assert due.provider.sent == ["cart"]
    assert due.message(welcome).held_until == NEXT_MORNING
    due.at(NEXT_MORNING, welcome)
    assert due.provider.sent == ["cart", "welcome"]
    assert due.performer.asked == 5


def test_equals_go_as_they_came(due: Due) -> None:
    keys = ["c", "a", "b"]
    for key in keys:
        due.journey(key, "welcome")
    runs = []
    for key in keys:
        runs.append(due.enters(key))
        due.world.later(minutes=1)
    days = [MORNING, NEXT_MORNING, NEXT_MORNING + timedelta(days=1)]
    assert [due.message(run).held_until for run in runs] == days
    for day in days:
        due.at(day, *(run for run in reversed(runs) if due.message(run).status == "held" and due.message(run).held_until <= day))
    assert due.provider.sent == keys


def test_with_a_short_cap_it_waits_as_short_and_is_not_asked_fifty_times(due: Due) -> None:
    """Forty seconds, at noon: one has just left, two are held."""
    with due.world.db.write() as session:
        settings.put(session, "frequency_caps", {"caps": [{"count": 1, "per": timedelta(seconds=40)}]}, "test", NOON)
    due.world.now = NOON
    due.journey("first", "welcome")
    due.enters("first")
    cart, welcome = both(due, first="welcome")
    while due.message(welcome).status == "held":
        moment = min(m.held_until for run in (cart, welcome) if (m := due.message(run)).status == "held")
        due.at(moment, *(run for run in (welcome, cart) if due.message(run).status == "held" and due.message(run).held_until <= moment))
    assert due.provider.sent == ["first", "cart", "welcome"]
    assert due.world.now == NOON + timedelta(seconds=80)
    assert due.performer.asked <= 6


def test_it_is_skipped_at_once_only_if_its_instant_is_too_late_without_the_line(due: Due) -> None:
    """The line moves it to 34 hours from now; alone it would have left in ten."""
    wait = MORNING - EVENING
    due.journey("patient", "welcome", hold_at_most=f"PT{int(wait.total_seconds())}S", priority=4)
    due.journey("hasty", "welcome", hold_at_most=f"PT{int(wait.total_seconds()) - 1}S", priority=4)
    due.journey("cart", "cart_abandonment")
    due.enters("cart")
    assert due.stands(due.enters("hasty")) == ("skipped", "held_too_long_quiet_hours", None)
    assert due.stands(due.enters("patient")) == ("held", "in_line", NEXT_MORNING)


def test_more_important_ones_that_come_again_and_again_put_it_off_and_do_not_lose_it(due: Due) -> None:
    """Its journey lets it wait for 12 hours; behind others it waits for days."""
    with due.world.db.write() as session:
        settings.put(session, "frequency_caps", {"caps": [{"count": 1, "per": timedelta(hours=20)}]}, "test", EVENING)
    cart, welcome = both(due, hold_at_most="PT12H")
    due.at(MORNING, cart)
    due.journey("again", "cart_abandonment")
    day = NEXT_MORNING
    for _ in range(3):
        due.world.now = day - timedelta(minutes=1)
        again = due.enters("again")
        due.at(day, welcome)
        assert due.stands(welcome) == ("held", "in_line", day + timedelta(days=1))
        due.at(day, again)
        day += timedelta(days=1)
    due.at(day, welcome)
    assert due.provider.sent == ["cart", "again", "again", "again", "welcome"]


def test_the_time_it_may_be_held_begins_when_those_before_it_let_it_go(due: Due) -> None:
    cart, welcome = both(due, hold_at_most="PT12H")
    due.at(MORNING, cart)
    hours = {"start": "07:00", "end": "19:30", "zone": "Europe/Zurich"}
    with due.world.db.write() as session:
        settings.put(
            session,
            "quiet_hours",
            {**hours, "channels": [{"channel": "sms", "start": "07:00", "end": "19:30", "by_law": True}]},
            "test",
            MORNING,
        )
    due.at(NEXT_MORNING, welcome)
    assert due.stands(welcome) == ("held", "quiet_hours", NEXT_MORNING + timedelta(hours=11, minutes=30)), (
        "46 hours after it was held first"
    )
    hours = {"start": "07:00", "end": "21:30", "zone": "Europe/Zurich"}
    with due.world.db.write() as session:
        settings.put(
            session,
            "quiet_hours",
            {**hours, "channels": [{"channel": "sms", "start": "07:00", "end": "21:30", "by_law": True}]},
            "test",
            MORNING,
        )
    due.at(NEXT_MORNING + timedelta(hours=11, minutes=30), welcome)
    assert due.stands(welcome)[:2] == ("skipped", "held_too_long_quiet_hours"), "13 and a half since those before it let it go"


def test_who_never_gets_a_turn_is_skipped_in_the_end(due: Due) -> None:
    cart, welcome = both(due, hold_at_most="P30D")
    due.at(MORNING, cart)
    due.journey("again", "cart_abandonment")
    due.world.now = EVENING + timedelta(days=29, hours=23)
    due.enters("again")
    due.attempt(welcome)
    assert due.stands(welcome)[:2] == ("skipped", "held_too_long_in_line")


# --- what stands before it goes away ---


def in_line(due: Due) -> tuple[str, str]:
    cart, welcome = both(due)
    assert due.message(welcome).reason == "in_line"
    return cart, welcome


def goes_now(due: Due, welcome: str) -> None:
    """Rung, it is asked again and waits for the morning like any other."""
    due.attempt(welcome)
    assert due.stands(welcome) == ("held", "quiet_hours", MORNING)


def test_an_exit_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    due.world.later(hours=1)
    due.world.happens(due.contact, "Order cart")
    moved = due.world.step(cart)
    assert moved.instruction["op"] == "end"
    assert welcome in moved.wakeups.runs
    assert due.world.row(welcome).due_at == due.world.now, "should the wake-up be lost, the keeper sees that it is due"
    assert due.stands(cart) == ("skipped", "run_ended", None)
    goes_now(due, welcome)


def test_an_exit_that_the_activity_finds_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    due.world.happens(due.contact, "Order cart")
    moved = due.attempt(cart)
    assert moved is not None
    assert welcome in moved.wakeups.runs
    goes_now(due, welcome)


def test_a_run_that_a_person_ends_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    with due.world.db.write() as session:
        operations.end_run(due.world.engine, session, cart, "test", due.world.now)
    assert due.stands(cart) == ("skipped", "run_ended", None)
    assert due.world.row(welcome).due_at == due.world.now
    goes_now(due, welcome)


def test_a_journey_that_is_stopped_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    with due.world.db.write() as session:
        journey = session.execute(select(Run.journey_id).where(Run.id == cart)).scalar_one()
        publish.stop(due.world.engine, session, journey, "test", due.world.now)
    moved = due.world.step(cart)
    assert welcome in moved.wakeups.runs
    goes_now(due, welcome)


def test_a_run_that_is_led_past_its_message_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    with due.world.db.write() as session:
        session.get_one(Run, cart).status = "stuck"
        session.flush()
        wakeups = operations.skip_stuck(due.world.engine, session, cart, "skipped", "test", due.world.now)
    assert wakeups == Wakeups(runs={cart, welcome})
    assert due.stands(cart) == ("skipped", "run_moved_on", None)
    goes_now(due, welcome)


def test_a_message_that_is_skipped_lets_the_next_one_go(due: Due) -> None:
    due.journey("cart", "cart_abandonment", purpose="newsletter")
    due.journey("welcome", "welcome")
    cart, welcome = due.enters("cart"), due.enters("welcome")
    due.says("withdrawn", "newsletter")
    moved = due.attempt(cart)
    assert moved is not None
    assert due.stands(cart)[:2] == ("skipped", "no_consent")
    assert moved.wakeups.runs == {welcome}
    goes_now(due, welcome)


def test_a_message_that_fails_lets_the_next_one_go(due: Due) -> None:
    cart, welcome = in_line(due)
    due.provider.failures = [MessageDead("too_long")]
    due.world.now = MORNING
    moved = due.attempt(cart)
    assert moved is not None
    assert due.message(cart).status == "failed"
    assert moved.wakeups.runs == {welcome}
    due.attempt(welcome)
    assert due.provider.sent == ["welcome"]


def test_a_message_that_leaves_wakes_nobody(due: Due) -> None:
    cart, welcome = in_line(due)
    due.world.now = MORNING
    moved = due.attempt(cart)
    assert moved is not None
    assert moved.wakeups.runs == set()
    assert due.message(welcome).held_until == NEXT_MORNING


def test_what_is_being_sent_counts_as_sent(due: Due) -> None:
    cart, welcome = in_line(due)
    due.provider.failures = [KeyboardInterrupt()]  # type: ignore[list-item]
    due.world.now = MORNING
    with pytest.raises(KeyboardInterrupt):
        due.attempt(cart)
    assert due.message(cart).status == "claimed"
    due.attempt(welcome)
    assert due.message(welcome).held_until == NEXT_MORNING


def test_a_provider_that_puts_a_message_off_holds_nobody_else(due: Due) -> None:
    cart, welcome = in_line(due)
    due.provider.failures = [RetryLater("busy", timedelta(minutes=5))]
    due.at(MORNING, cart)
    assert due.message(cart).status == "planned"
    assert due.world.row(welcome).due_at == NEXT_MORNING, "it is not called up: the other will be sent in five minutes"
    due.at(NEXT_MORNING, welcome)
    assert due.provider.sent == ["welcome"]


def test_a_paused_journey_holds_nobody_for_ever(due: Due) -> None:
    cart, welcome = in_line(due)
    with due.world.db.write() as session:
        journey = session.execute(select(Run.journey_id).where(Run.id == cart)).scalar_one()
        publish.pause(due.world.engine, session, journey, "test", due.world.now)
    due.at(MORNING, cart)
    assert due.world.row(cart).status == "held"
    assert due.message(cart).status == "held"
    due.at(NEXT_MORNING, welcome)
    assert due.provider.sent == ["welcome"]


def test_a_worker_that_is_away_holds_nobody_for_ever(due: Due) -> None:
    _, welcome = in_line(due)
    due.at(NEXT_MORNING, welcome)
    assert due.provider.sent == ["welcome"], "the cart's message should have left a day ago"


# --- how it waits ---


def test_who_stands_in_line_waits_where_a_wakeup_is_heard(due: Due) -> None:
    cart, welcome = both(due, first="welcome")
    assert due.attempt(cart) is None, "who waits for the morning does so in its activity: no event in the history"
    due.world.now = MORNING
    moved = due.attempt(welcome)
    assert moved is not None
    assert moved.instruction["op"] == "wait"
    assert moved.instruction["until"] == NEXT_MORNING.isoformat()
    assert moved.instruction["then"]["activity"] == activity_of("sms")
    assert due.world.row(welcome).instruction["op"] == "do", "whoever takes the run up from its row asks the gate again"
    assert due.world.step(welcome).instruction == due.world.row(welcome).instruction, "as a wake-up does"


def test_a_call_that_is_no_message_counts_for_no_cap(due: Due) -> None:
    due.world.now = NOON
    with due.world.db.write() as session:
        fixed = {"contact_id": due.contact, "channel": "webhook", "priority": 3}
        ledger.put(session, "a:hook:1", fixed, NOON, status="sent", sent_at=NOON)
    due.journey("welcome", "welcome")
    due.enters("welcome")
    assert due.provider.sent == ["welcome"]


def test_a_transactional_message_stands_in_no_line(due: Due) -> None:
    cart, _ = in_line(due)
    due.journey("receipt", "welcome", message_class="transactional")
    due.enters("receipt")
    assert due.provider.sent == ["receipt"]
    assert due.message(cart).status == "held"


def test_the_gallery_sets_priorities_as_these_tests_need_them() -> None:
    found = {
        path.parent.name: json.loads(path.read_text("utf-8"))["settings"].get("priority", 3) for path in GALLERY.glob("*/journey.json")
    }
    assert found["cart_abandonment"] < found["welcome"] < found["re_engagement"]
