"""Accounts change while messages are on their way: nobody starts anything again, and no message leaves twice because somebody chose another account."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.account_setup import read
from activities.accounts import UNFIT, UNKNOWN, Accounts, LivePerformers, LiveTimeouts
from activities.providers import Providers, Surroundings
from activities.providers.provider import InDoubt, OptedOut, Outgoing, RetryLater
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.messages import MessageHandler, MessageSettings
from activities.sending.reconcile import settle
from activities.sending.watch import watch
from activities.tracking import Tracking
from crm.consent import consent
from crm.consent.mailbox import says_no
from journeys.calls import activity_of
from models import Database, Event
from tests.engine.conftest import StoryClock, World
from tests.toy_provider import GOOD, LOFTS, Loft, Pigeon, settings_of
from workspace import accounts as rows
from workspace import stopped_accounts
from workspace.accounts import SetUp


class Twin(Pigeon):
    """Another provider of the same make, which promises what it is told to."""

    name = "twin"


class Sending:
    """A contact in a journey of one text message; channel sms goes through whatever account is chosen."""

    def __init__(self, world: World, message_class: str = "transactional", *kinds: Any) -> None:
        self.world = world
        self.seconds = 0.0
        providers = Providers.of_none().with_kinds(Pigeon, Twin, *kinds)
        around = Surroundings(world.db, lambda: world.now)
        self.accounts = Accounts(world.db, providers, world.engine.address_keys, around, lambda: self.seconds)
        messaging = MessageSettings(Tracking({"k": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.org>")
        self.performers = performers = LivePerformers(self.accounts, {"sms": MessageHandler(messaging, self.accounts.nobody, "sms")}, {})
        self.effects = Effects(world.engine, performers, Breakers(world.db, lambda: world.now), self.accounts.find, performers.sharing)
        self.contact = world.contact(phone="+41446681800", timezone="Europe/Zurich")
        with world.db.write() as session:
            consent.record_consent(
                session, self.contact, "sms", "marketing", "granted", world.now, evidence=consent.Evidence.DATED, source="test"
            )
        world.publish(
            {
                "spec": 1, "key": "text", "name": "text",
                "settings": {"message_class": message_class, "timezone": "Europe/Zurich"},
                "entry": {"triggers": [{"type": "event", "event": "Go"}], "reentry": {"policy": "after_exit"}},
                "exit_when": [{"event": "Stop"}],
                "start": "text",
                "nodes": {"text": {"kind": "send_sms", "text": "Hi"}, "end": {"kind": "exit"}},
                "edges": [{"from": "text", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
            }
        )  # fmt: skip

    def add(self, loft: str, kind: Any = Pigeon) -> str:
        LOFTS.setdefault(loft, Loft())
        with self.world.db.write() as session:
            given = read(kind, settings_of(loft))[1]
            return rows.add(session, self.world.engine.address_keys, loft, given, "test", self.world.now).account

    def choose(self, account: str) -> None:
        with self.world.db.write() as session:
            rows.carry(session, {"sms": account}, "test", self.world.now)
        self.seconds += 2

    def enters(self) -> str:
        return self.world.run(self.world.happens(self.contact, "Go"))

    def attempt(self, run: str) -> str:
        """How the attempt ended: done, or why it comes back."""
        try:
            perform(self.effects, activity_of("sms"), run, self.world.row(run).step, self.world.now)
        except ApplicationError as error:
            return str(error.type)
        return "done"

    def message(self, run: str) -> Any:
        [only] = self.world.messages(run)
        return only


@pytest.fixture
def sending(sqlite_world: World) -> Iterator[Sending]:
    yield Sending(sqlite_world)
    LOFTS.clear()


def test_a_running_process_follows_within_a_second_and_asks_once_a_second(sending: Sending) -> None:
    run = sending.enters()
    assert sending.attempt(run) == "done"
    assert (sending.message(run).provider, sending.message(run).account) == ("outbox", "outbox.default")
    first = sending.add("alps")
    sending.choose(first)
    sending.seconds -= 2
    assert sending.accounts.of_channel("sms").account == "outbox.default", "it was asked a moment ago"
    sending.seconds += 2
    later = sending.enters()
    assert sending.attempt(later) == "done"
    assert (sending.message(later).provider, sending.message(later).account) == ("pigeon", first)
    assert len(LOFTS["alps"].arrived) == 1


def test_an_account_that_nothing_changed_keeps_its_connections_and_a_changed_one_is_closed_in_time(sending: Sending) -> None:
    account, other = sending.add("alps"), sending.add("jura")
    sending.choose(account)
    before: Any = sending.accounts.of_channel("sms").provider
    sending.choose(other)
    assert sending.accounts.named(account) is before
    keys = sending.world.engine.address_keys
    with sending.world.db.write() as session:
        rows.change(session, keys, account, read(Pigeon, settings_of("alps", letters=5))[1], 1, "test", sending.world.now)
    sending.seconds += 2
    after: Any = sending.accounts.named(account)
    assert after is not before
    assert (after.config.letters, before.closed) == (5, False), "somebody may be in the middle of a call"
    sending.seconds += 2 * before.timeout_seconds + 2
    sending.accounts.look()
    assert before.closed


def test_who_has_opted_out_at_the_provider_is_skipped_and_opted_out_here(sending: Sending) -> None:
    sending.choose(sending.add("alps"))
    LOFTS["alps"].next = OptedOut("pigeon_enough")
    run = sending.enters()
    assert sending.attempt(run) == "done"
    message = sending.message(run)
    assert (message.status, message.reason, message.answer["outlet"]) == ("skipped", "suppressed_unsubscribe", "skipped")
    with sending.world.db.read() as session:
        assert consent.state(session, sending.contact, "sms", "marketing") == "withdrawn"
        assert says_no(session, [b"a" * 32], "sms", "marketing", "+41446681800"), "also for others who have the number"
        changed = session.scalars(select(Event).where(Event.name == "Consent Changed")).all()
    assert [one.properties["state"] for one in changed] == ["granted", "withdrawn"]
    assert LOFTS["alps"].arrived == {}


def test_an_account_knows_where_its_provider_shall_report(sending: Sending) -> None:
    class Told(Pigeon):
        name = "told"
        news = ""

        @classmethod
        def open(cls, config: Any, around: Surroundings) -> Any:
            made = cls(config)
            made.news = around.callback_url("news")
            return made

    sending.accounts.providers = Providers.of_none().with_kinds(Told)
    sending.accounts.around = Surroundings(sending.world.db, lambda: sending.world.now, "https://m.example")
    sending.choose(sending.add("alps", Told))
    provider: Any = sending.accounts.of_channel("sms").provider
    assert provider.news == "https://m.example/callbacks/told.alps/news"
    assert sending.accounts.around.callback_url("news") == "", "while an account is only tried, nobody listens"


@pytest.mark.parametrize("kind", [Pigeon, Twin])
def test_a_call_in_doubt_is_asked_where_it_was_made(sending: Sending, kind: Any) -> None:
    """It had arrived. The account chosen since does not know it, and would send it a second time."""
    first, second = sending.add("alps"), sending.add("jura", kind)
    sending.choose(first)
    LOFTS["alps"].next = InDoubt("pigeon_hawk")
    run = sending.enters()
    assert sending.attempt(run) == "busy"
    sending.choose(second)
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).account) == ("sent", first)
    assert [len(LOFTS[loft].arrived) for loft in ("alps", "jura")] == [1, 0]


def test_what_certainly_did_not_leave_goes_through_the_account_of_now(sending: Sending) -> None:
    first, second = sending.add("alps"), sending.add("jura")
    sending.choose(first)
    LOFTS["alps"].next = InDoubt("pigeon_hawk")
    run = sending.enters()
    assert sending.attempt(run) == "busy"
    LOFTS["alps"].arrived.clear()
    sending.choose(second)
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).account) == ("sent", second)
    assert [len(LOFTS[loft].arrived) for loft in ("alps", "jura")] == [0, 1]


def test_a_call_in_doubt_of_an_account_that_is_gone_is_uncertain_and_never_repeated(sending: Sending) -> None:
    first, second = sending.add("alps"), sending.add("jura")
    sending.choose(first)
    LOFTS["alps"].next = InDoubt("pigeon_hawk")
    run = sending.enters()
    sending.attempt(run)
    with sending.world.db.write() as session:
        rows.remove(session, first, "test", sending.world.now, anyway=True)
    sending.choose(second)
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "done"
    assert sending.message(run).status == "uncertain"
    assert len(LOFTS["jura"].arrived) == 0


@pytest.mark.parametrize("then", ["another", "restored", "nothing"])
def test_what_is_held_while_its_account_is_removed_waits_and_is_sent_by_another(sending: Sending, then: str) -> None:
    first = sending.add("alps")
    sending.choose(first)
    LOFTS["alps"].next = RetryLater("pigeon_tired", timedelta(seconds=10))
    run = sending.enters()
    assert sending.attempt(run) == "retry_later"
    with sending.world.db.write() as session:
        rows.remove(session, first, "test", sending.world.now, anyway=True)
    sending.seconds += 2
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "retry_later"
    assert (sending.message(run).status, sending.message(run).reason) == ("planned", "account_removed"), "and so it is listed"
    if then == "another":
        sending.choose(sending.add("jura"))
    elif then == "restored":
        with sending.world.db.write() as session:
            rows.take_back(session, first, "test", sending.world.now)
        sending.seconds += 2
    else:
        sending.world.later(days=3)
    assert sending.attempt(run) == "done"
    message = sending.message(run)
    expected = {"another": "pigeon.jura", "restored": first, "nothing": first}[then]
    assert (message.status, message.account) == ("failed" if then == "nothing" else "sent", expected)
    assert [len(loft.arrived) for loft in LOFTS.values()] == {"another": [0, 1], "restored": [1]}.get(then, [0])


def test_an_abandoned_claim_is_asked_where_it_was_made(sending: Sending) -> None:
    first, second = sending.add("alps"), sending.add("jura")
    sending.choose(first)
    LOFTS["alps"].next = InDoubt("pigeon_hawk")
    run = sending.enters()
    sending.attempt(run)
    sending.choose(second)
    sending.world.happens(sending.contact, "Stop")
    sending.world.step(run)
    sending.world.later(minutes=1)
    sending.accounts.look()
    sending.effects.engine.clock = StoryClock(sending.world)
    settle(sending.effects)
    assert (sending.message(run).status, sending.message(run).account) == ("sent", first)


def test_an_account_that_cannot_be_opened_stops_its_messages_and_loses_none(sending: Sending) -> None:
    with sending.world.db.write() as session:
        given = SetUp("ravens", {}, {})
        account = rows.add(session, sending.world.engine.address_keys, "main", given, "test", sending.world.now).account
    sending.choose(account)
    run = sending.enters()
    assert sending.attempt(run) == "retry_later"
    with sending.world.db.read() as session:
        assert stopped_accounts.find(session, account).code == UNKNOWN
    sending.choose("")
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "done"


def test_a_provider_that_fails_to_open_an_account_takes_no_other_down(
    sending: Sending, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(config: Any, around: Surroundings) -> Any:
        raise RuntimeError(config.token.get_secret_value())

    monkeypatch.setattr(Twin, "open", fails)
    good, bad = sending.add("alps"), sending.add("jura", Twin)
    sending.choose(good)
    assert sending.accounts.of_channel("sms").account == good
    sending.choose(bad)
    assert sending.attempt(sending.enters()) == "retry_later"
    with sending.world.db.read() as session:
        assert stopped_accounts.find(session, bad).code == UNFIT
    assert "RuntimeError" in caplog.text
    assert GOOD not in caplog.text


def test_secrets_sealed_with_a_key_that_is_gone_stop_the_account(sending: Sending) -> None:
    account = sending.add("alps")
    sending.accounts.keys = (b"another key that is long enough ....",)
    sending.choose(account)
    assert sending.attempt(sending.enters()) == "retry_later"


def test_of_processes_that_start_at_once_one_seeds_and_the_others_see_it(postgres_db: Database) -> None:
    now = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    given = read(Pigeon, settings_of("alps"))[1]

    def seed(session: Session) -> bool:
        return rows.seed(session, [b"a" * 32], given, "main", ["sms"], now)

    def starts() -> bool:
        with postgres_db.write() as session:
            return seed(session)

    def somebody_waits() -> bool:
        with postgres_db.read() as session:
            return bool(session.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())

    with ThreadPoolExecutor(1) as pool:
        with postgres_db.write() as session:
            assert seed(session)
            other = pool.submit(starts)
            while not other.done() and not somebody_waits():
                wait([other], 0.01)
        assert other.result(60) is False
    with postgres_db.read() as session:
        assert rows.carried(session) == {"sms": "pigeon.main"}


def test_the_time_limit_is_that_of_the_account_chosen(sending: Sending) -> None:
    limits = LiveTimeouts(sending.accounts, ["sms"], {"webhook": 7.0})
    assert (limits["sms"], limits.get("webhook"), limits.get("other", 1.0)) == (15.0, 7.0, 1.0)
    sending.choose(sending.add("alps"))
    sending.accounts.look()
    assert dict(limits) == {"sms": 7.0, "webhook": 7.0}


def test_a_stopped_account_that_carries_nothing_any_more_is_still_asked_whether_it_works(sending: Sending) -> None:
    account = sending.add("alps")
    sending.choose("")
    sending.accounts.look()
    with sending.world.db.write() as session:
        stopped_accounts.stop(session, account, "pigeon_hawk", sending.world.now)
    sending.world.later(minutes=2)
    watch(sending.effects)
    with sending.world.db.read() as session:
        assert stopped_accounts.find(session, account) is None


def test_the_keeper_forgets_the_secrets_of_removed_accounts(sending: Sending) -> None:
    account = sending.add("alps")
    with sending.world.db.write() as session:
        rows.remove(session, account, "test", sending.world.now)
    for passed, left in ((timedelta(days=6), 1), (timedelta(days=2), 0)):
        sending.world.now += passed
        watch(sending.effects)
        with sending.world.db.read() as session:
            assert len(rows.removed(session)) == left
    with sending.world.db.read() as session:
        assert session.get_one(rows.ProviderAccount, account).config == {}


def test_a_message_made_by_hand_has_all_a_provider_needs(sending: Sending) -> None:
    sending.choose(sending.add("alps"))
    sent = sending.accounts.of_channel("sms").provider.send(Outgoing("once", "0" * 32, "sms", "+41446681800", text="Hi"))
    assert sent.provider_id.startswith("letter-")


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_message_that_was_put_off_ends_with_its_run(sending: Sending, is_gone: bool) -> None:
    sending.choose(sending.add("alps"))
    run = sending.enters()
    LOFTS["alps"].next = RetryLater("pigeon_busy", timedelta(minutes=5))
    assert sending.attempt(run) == "retry_later"
    if is_gone:
        with sending.world.db.write() as session:
            rows.remove(session, "pigeon.alps", "test", sending.world.now, anyway=True)
        sending.seconds += 2
        assert sending.attempt(run) == "retry_later"
    assert (sending.message(run).status, sending.message(run).reason) == ("planned", "account_removed" if is_gone else "pigeon_busy")
    sending.world.happens(sending.contact, "Stop")
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).reason) == ("skipped", "run_ended")
    assert not LOFTS["alps"].arrived
