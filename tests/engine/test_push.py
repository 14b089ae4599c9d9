"""Push messages end to end but for the screen: who gets one, what a lost device means, and that a death between any two lines shows no notification twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlmodel import select

from activities import account_admin
from activities.account_setup import set_up_of
from activities.accounts import Accounts
from activities.providers.fcm import Fcm, FcmConfig
from activities.providers.provider import (
    AddressDead,
    Answer,
    MessageDead,
    PolicyRefused,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
)
from activities.providers.registry import Providers
from activities.providers.webpush import WebPush, WebPushConfig, new_key, public_key
from activities.sending import ledger
from activities.sending.attempt import attempt
from activities.sending.breakers import RECIPIENTS, Breakers, Turn
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.sending.reconcile import settle
from activities.sending.resend import send_due
from activities.templates import library
from activities.tracking import Tracking
from activities.webhooks.address_guard import Guard
from crm.people import devices
from crm.uncertain import decide
from engine.engine import Engine
from engine.interpreter.gate import Limits, Pass, Refuse
from engine.interpreter.simulated_gate import SimulatedGate
from engine.keeper import Keeper
from journeys.calls import activity_of
from journeys.document import Settings
from journeys.errors import Invalid
from journeys.rules.dict_facts import DictFacts
from journeys.values import Call
from models import Contact, Database, Message, Suppression
from storage import sending_counts
from tests.activities.providers.push_service import Browser, PushService
from tests.activities.providers.test_fcm import FILE
from tests.engine.conftest import StoryClock
from tests.engine.test_crash_points import Points, Teller
from tests.toy_provider import always_later
from workspace import accounts as rows
from workspace import stopped_accounts

JOURNEY = {
    "spec": 1,
    "key": "news",
    "name": "News",
    "settings": {"message_class": "transactional"},
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}], "reentry": {"policy": "after_exit"}},
    "start": "hello",
    "nodes": {"hello": {"kind": "send_push", "template": "hello"}, "end": {"kind": "exit"}},
    "edges": [{"from": "hello", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
}
PUSH = activity_of("push")
CONFIG = WebPushConfig(contact="mailto:web@example.org", vapid_key=new_key())
BROWSER = Browser()


class Town:
    """A world whose push messages go to browsers by a push service on this machine, which says of `gone` endpoints that they are gone."""

    def __init__(self, world: Any) -> None:
        self.world, self.service, self.gone = world, PushService(self._answer), set[str]()
        self.provider = WebPush(
            CONFIG,
            Surroundings(world.db, lambda: world.now),
            Guard.allowing(["127.0.0.1"]),
            lambda url: f"http://127.0.0.1:{self.service.port}/{url.rpartition('/')[2]}",
        )
        messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")
        self.performer = MessageHandler(messaging, self.provider, "push")
        world.effects = Effects(world.engine, {"push": self.performer}, Breakers(world.db))
        parts = {"title": "Hallo {{ contact.first_name }}", "text": "Neu", "url": "https://shop.example/neu"}
        about: dict[str, Any] = {"name": "Hello", "kind": "push", "message_class": "transactional"}
        library.save(world.db, "hello", {"default": parts}, actor="test", now=world.now, **about)
        world.publish(JOURNEY)

    def _answer(self, taken: Any) -> Any:
        return (410 if taken.path in self.gone else 201), {}, b""

    def registers(self, contact_id: str, name: str) -> None:
        device = devices.Registration(
            "web", f"https://push.example/{name}", BROWSER.p256dh, BROWSER.subscription("")["keys"]["auth"], public_key(CONFIG)
        )
        with self.world.db.write() as session:
            devices.register(session, contact_id, device, self.world.now)

    def sends(self, contact_id: str) -> tuple[str, str]:
        run = self.world.run(self.world.happens(contact_id, "Signed Up"))
        self.world.perform(run, activity=PUSH)
        [message] = self.world.messages(run)
        return message.status, message.reason

    def shown(self) -> dict[str, set[str]]:
        """Endpoint -> the notifications that lie there in the end: of one tag there is one."""
        found: dict[str, set[str]] = {}
        for taken in self.service.taken:
            if taken.path not in self.gone:
                found.setdefault(taken.path, set()).add(BROWSER.read(taken.body)["tag"])
        return found


@pytest.fixture
def town(sqlite_world: Any) -> Iterator[Town]:
    town = Town(sqlite_world)
    yield town
    town.provider.close()
    town.service.close()


def test_without_a_device_there_is_no_address_and_with_one_it_arrives(town: Town) -> None:
    contact = town.world.contact(first_name="Ada")
    assert town.sends(contact) == ("skipped", "no_address")
    town.registers(contact, "a")
    assert town.sends(contact) == ("sent", "")
    [taken] = town.service.taken
    said = BROWSER.read(taken.body)
    assert (said["title"], said["text"]) == ("Hallo Ada", "Neu")
    assert said["url"].startswith("https://m.example/"), "a click is counted"


def test_devices_that_no_account_reaches_get_nothing(town: Town) -> None:
    contact = town.world.contact()
    with town.world.db.write() as session:
        devices.register(session, contact, devices.Registration("android", "t"), town.world.now)
    assert town.sends(contact) == ("skipped", "no_reachable_device")


def test_the_last_device_gone_is_a_bounce_that_suppresses_nothing(town: Town) -> None:
    contact = town.world.contact()
    town.registers(contact, "a")
    town.gone = {"/a"}
    assert town.sends(contact) == ("bounced", "webpush_http_410")
    with town.world.db.read() as session:
        assert session.get_one(Contact, contact).push_devices is None
        assert session.scalars(select(Suppression)).all() == []
    assert town.sends(contact) == ("skipped", "no_address")
    town.registers(contact, "b")
    assert town.sends(contact) == ("sent", "")


@pytest.mark.parametrize(("said", "verdict"), [("web", Pass("c1")), ("", Refuse("no_address")), (None, Refuse("no_address"))])
def test_the_simulator_says_the_same(said: str | None, verdict: Any, town: Town) -> None:
    facts = DictFacts({"id": "c1", "push_devices": said})
    call = Call(channel="push", input={"template": "hello", "message_class": "transactional"})
    assert SimulatedGate(Settings(), {}, Limits()).ask(facts, call, "m1", town.world.now) == verdict


# Dying between any two lines


class PushTeller(Teller):
    """As `Teller`, with this provider instead of one that counts."""

    def __init__(self, town: Town, contact: str, points: Points) -> None:
        self.town = town
        super().__init__(town.world, contact, points)

    def _new_process(self) -> None:
        world, old = self.world, self.world.engine
        world.engine = Engine(old.db, StoryClock(world), old.palette, old.address_keys)
        world.effects = Effects(world.engine, {"push": self.town.performer}, Breakers(world.db))
        self.keeper = Keeper(world.engine, self.server, duties=[lambda: settle(world.effects)])


@contextmanager
def mortal(town: Town, points: Points) -> Iterator[None]:
    """Makes every commit, and every device's call, two points: one before it and one after."""
    dialect, provider = town.world.db.engine.dialect, town.provider
    commit, call = dialect.do_commit, provider.call

    def commit_between_points(connection: Any) -> None:
        points.reach()
        commit(connection)
        points.reach()

    def call_between_points(device: Any, message: Any) -> None:
        points.reach()
        points.sends.append(points.passed)
        call(device, message)
        points.reach()

    dialect.do_commit, provider.call = commit_between_points, call_between_points  # type: ignore[method-assign]
    try:
        yield
    finally:
        dialect.do_commit, provider.call = commit, call  # type: ignore[method-assign]


def tell(town: Town, fatal: int) -> tuple[Points, int]:
    """A message to three browsers, one of which is gone; returns the points passed and how often a device was called."""
    points, contact, world = Points(fatal), town.world.contact(), town.world
    names = [f"{kind}{fatal}" for kind in ("one", "gone", "two")]
    town.service.taken.clear()
    town.gone = {f"/gone{fatal}"}
    for name in names:
        town.registers(contact, name)
        world.later(seconds=1)
    with mortal(town, points):
        teller = PushTeller(town, contact, points)
        teller.arrives("Signed Up")
        teller.to_the_end(within=timedelta(hours=1))
    tag = town.shown()
    assert set(tag) == {f"/one{fatal}", f"/two{fatal}"}
    assert {len(tags) for tags in tag.values()} == {1}, f"death at point {fatal}: a notification lies there twice"
    with world.db.read() as session:
        assert len(devices.of_contact(session, contact)) == 2
    [run] = [row.id for row in teller._rows()]
    assert [(one.status, one.reason) for one in world.messages(run)] == [("sent", "")]
    return points, len(town.service.taken)


def test_a_death_between_any_two_lines_replaces_a_notification_and_never_adds_one(town: Town) -> None:
    undisturbed, calls = tell(town, 0)
    assert (calls, len(undisturbed.sends)) == (3, 3)
    repeats = [tell(town, fatal)[1] - calls for fatal in range(1, undisturbed.passed + 1)]
    assert 0 < max(repeats) <= 3, "some deaths repeat a call, and none more than all of them"


def test_what_is_sent_again_lives_as_long_and_takes_the_same_place(town: Town) -> None:
    said = {"kind": "send_push", "template": "hello", "valid_for": "PT2H", "urgency": "high", "replaces": "offer"}
    town.world.publish({**JOURNEY, "nodes": {**JOURNEY["nodes"], "hello": said}})
    contact = town.world.contact()
    town.registers(contact, "phone")
    assert town.sends(contact) == ("sent", "")
    with town.world.db.write() as session:
        message = session.scalars(select(Message)).one()
        message.status, message.reason, message.provider_id = "uncertain", "no_answer", ""
        session.flush()
        decide(session, message.id, "again", message.attempts, "member:m1", town.world.now)
    town.world.engine.clock = StoryClock(town.world)
    send_due(town.world.effects)
    first, again = ({name: taken.headers[name] for name in ("TTL", "Urgency", "Topic")} for taken in town.service.taken)
    assert (first["TTL"], first["Urgency"]) == ("7200", "high")
    assert again == first


# Two accounts for one channel


@pytest.fixture
def accounts(sqlite_db: Database) -> Iterator[Accounts]:
    """Of a workspace with an account for browsers and one for apps, chosen for nothing yet."""
    around = Surroundings(sqlite_db, lambda: datetime.now(UTC))
    made = Accounts(sqlite_db, Providers.of_none().with_kinds(WebPush, Fcm), (b"k" * 32,), around, always_later)
    with sqlite_db.write() as session:
        for kind, config in ((WebPush, CONFIG), (Fcm, FcmConfig(service_account=SecretStr(json.dumps(FILE))))):
            rows.add(session, made.keys, "main", set_up_of(kind, config), "m1", datetime.now(UTC))
    yield made
    made.close()


def chosen(accounts: Accounts, **routes: str) -> str:
    with accounts.db.write() as session:
        rows.carry(session, {"push": "", "push_app": "", **routes}, "m1", datetime.now(UTC))
    carrier = accounts.of_channel("push")
    return f"{carrier.account} {' '.join(sorted(carrier.provider.reaches))}"


def test_each_part_of_the_channel_has_its_account_and_both_together_are_one(accounts: Accounts) -> None:
    assert chosen(accounts) == "outbox.default "
    assert (chosen(accounts, push="webpush.main"), accounts.browser_key()) == ("webpush.main web", public_key(CONFIG))
    assert (chosen(accounts, push_app="fcm.main"), accounts.browser_key()) == ("fcm.main android ios", "")
    assert chosen(accounts, push="webpush.main", push_app="fcm.main") == "webpush.main android ios web"
    assert accounts.find("fcm", "fcm.main") is not None, "the keeper can ask it by itself"


def test_an_account_is_chosen_for_the_devices_that_it_reaches_only(accounts: Accounts) -> None:
    for route, account in (("push", "fcm.main"), ("push_app", "webpush.main")):
        with pytest.raises(Invalid):
            account_admin.choose(accounts, {route: account}, "m1", datetime.now(UTC))
    account_admin.choose(accounts, {"push": "webpush.main"}, "m1", datetime.now(UTC))
    with accounts.db.write() as session, pytest.raises(rows.InUse):
        rows.remove(session, "webpush.main", "m1", datetime.now(UTC))


REFUSED = SenderStopped("fcm_PERMISSION_DENIED")


def says(result: Answer | ProviderFailure) -> Any:
    def send() -> Answer:
        if isinstance(result, ProviderFailure):
            raise result
        return result

    return send


@pytest.mark.parametrize(
    ("result", "stopped"),
    [
        (Answer(accounts={"webpush.main": None, "fcm.main": REFUSED}), ["fcm.main"]),
        (Answer(accounts={"webpush.main": REFUSED, "fcm.main": None}), ["webpush.main"]),
        (Answer(accounts={"webpush.main": None, "fcm.main": MessageDead("x")}), []),
        (Answer(), []),
    ],
)
def test_an_account_that_is_refused_is_stopped_although_another_one_answered(
    sqlite_db: Database, result: Answer, stopped: list[str]
) -> None:
    breakers = Breakers(sqlite_db)
    assert attempt(breakers, Turn("webpush.main"), "c1", 1, says(result)) is result
    with sqlite_db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == stopped


def test_a_failure_of_the_other_account_stops_that_one(sqlite_db: Database) -> None:
    failure = SenderStopped("fcm_PERMISSION_DENIED")
    failure.account = "fcm.main"
    assert isinstance(attempt(Breakers(sqlite_db), Turn("webpush.main"), "c1", 1, says(failure)), RetryLater)
    with sqlite_db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == ["fcm.main"]


def test_a_refusal_by_policy_counts_against_the_account_that_was_refused(sqlite_db: Database) -> None:
    breakers = Breakers(sqlite_db)
    for number in range(RECIPIENTS):
        failure = PolicyRefused("fcm_THIRD_PARTY_AUTH_ERROR")
        failure.account = "fcm.main"
        attempt(breakers, Turn("webpush.main"), f"c{number}", 1, says(failure))
    with sqlite_db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == ["fcm.main"]


def test_a_refusal_by_policy_counts_although_another_account_took_the_message(sqlite_db: Database) -> None:
    breakers = Breakers(sqlite_db)
    answer = Answer(accounts={"webpush.main": PolicyRefused("webpush_http_403"), "fcm.main": None})
    for number in range(RECIPIENTS):
        assert attempt(breakers, Turn("webpush.main"), f"c{number}", 1, says(answer)) is answer
    with sqlite_db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == ["webpush.main"]


@pytest.mark.parametrize("account", ["", "webpush.main", "fcm.main"])
def test_a_stopped_account_does_not_work_because_a_contact_has_no_device_of_its(sqlite_db: Database, account: str) -> None:
    with sqlite_db.write() as session:
        stopped_accounts.stop(session, "webpush.main", "webpush_http_403", datetime(2026, 1, 1, tzinfo=UTC))
    breakers = Breakers(sqlite_db)
    turn = breakers.turn("webpush.main", 1.0)
    assert isinstance(turn, Turn)
    assert turn.held is not None
    failure = AddressDead("fcm_UNREGISTERED") if account == "fcm.main" else MessageDead("push_no_device")
    failure.account = account
    assert attempt(breakers, turn, "c1", 1, says(failure)) is failure
    with sqlite_db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == ["webpush.main"]


@pytest.mark.parametrize(("channel", "counts"), [("push", False), ("email", True), ("sms", True)])
def test_that_devices_go_is_nothing_that_an_account_is_stopped_for(channel: str, counts: bool, sqlite_db: Database) -> None:
    with sqlite_db.write() as session:
        ledger.count_sending(session, channel, "webpush.main", "bounced", datetime(2026, 1, 1, tzinfo=UTC))
        assert sending_counts.has_fresh(session) is counts
