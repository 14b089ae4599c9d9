"""An account that takes nothing: one message tries, the others wait; it is seen, told, and over within seconds of the mend."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select
from temporalio.exceptions import ApplicationError

from activities.providers.provider import (
    Answer,
    DeliveryCheck,
    MessageDead,
    Outgoing,
    PolicyRefused,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Unreachable,
)
from activities.sending import breakers as rules
from activities.sending.breakers import RECIPIENTS, Breakers, Turn
from activities.sending.effect import Effects
from activities.sending.gate import Pass, Refuse
from activities.sending.messages import MessageHandler, MessageSettings
from activities.sending.watch import watch
from activities.team.handler import TeamHandler
from activities.team.notices import Notifier, tell
from activities.tracking import Tracking
from locales import translator
from models import Audit, ChannelAccount, Member, NoticeDelivery, ProviderAccount
from tests.engine.conftest import StoryClock
from workspace import settings, stopped_accounts

REFUSED = "smtp_550_5.7.1"
SOON = timedelta(seconds=15)
"""From the mend until service."""


@dataclass
class Refusing:
    """What stands in for the account: it refuses every call until it is mended. `attempts` are the instants of the calls."""

    world: Any
    failure: ProviderFailure = field(default_factory=lambda: SenderStopped(REFUSED))
    mended: bool = False
    attempts: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        send = self.world.performer.send

        def send_or_refuse(*call: Any) -> Answer:
            self.attempts.append(self.world.now)
            if not self.mended:
                raise self.failure
            answer: Answer = send(*call)
            return answer

        self.world.performer.send = send_or_refuse
        verdicts = self.world.performer.verdicts
        self.world.performer.ask = lambda _session, _contact, job, *_: (
            verdicts.pop(0) if verdicts else Pass(f"{job.row.contact_id}@example.org")
        )
        self.world.engine.clock = StoryClock(self.world)


@dataclass
class Queue:
    """Messages that wait, led as Temporal leads them: each comes back after the pause it was told. Several workers take turns."""

    world: Any
    workers: list[Effects]
    due: dict[str, datetime] = field(default_factory=dict)
    turns: int = 0

    @classmethod
    def of(cls, world: Any, people: int, workers: int = 1) -> Queue:
        made = [Effects(world.engine, world.effects.performers, Breakers(world.db, lambda: world.now)) for _ in range(workers)]
        runs = [world.run(world.happens(world.contact(), "Signed Up")) for _ in range(people)]
        return cls(world, made, dict.fromkeys(runs, world.now))

    def until(self, end: datetime) -> None:
        while self.due:
            run = min(self.due, key=lambda run: self.due[run])
            if self.due[run] > end:
                break
            self.world.now = max(self.world.now, self.due[run])
            self.turns += 1
            self.world.effects = self.workers[self.turns % len(self.workers)]
            try:
                self.world.perform(run)
            except ApplicationError as error:
                self.due[run] = self.world.now + (error.next_retry_delay or timedelta(0))
            else:
                del self.due[run]
        self.world.now = max(self.world.now, end)


@pytest.fixture
def account(world, reference) -> Refusing:
    world.publish(reference)
    return Refusing(world)


def row_of(world: Any) -> Any:
    with world.db.read() as session:
        return stopped_accounts.find(session, "counting.default")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("failure", [SenderStopped(REFUSED), Unreachable("smtp_unreachable")])
def test_of_many_that_wait_one_tries_and_all_go_soon_after_the_mend(world, account, workers, failure):
    account.failure = failure
    queue, began = Queue.of(world, 20, workers), world.now
    queue.until(began + timedelta(seconds=10))
    first = len(account.attempts)
    assert first <= 2 + workers * rules.IN_A_ROW
    queue.until(began + timedelta(minutes=2))
    assert row_of(world).code == failure.code
    tries = len(account.attempts) - first
    assert 110 / (stopped_accounts.PAUSE + rules.AGAIN).total_seconds() <= tries <= 110 / stopped_accounts.PAUSE.total_seconds() + 1
    account.mended, mended_at = True, world.now
    queue.until(mended_at + SOON)
    assert queue.due == {}
    assert len(world.performer.received) == len(set(world.performer.received)) == 20
    assert row_of(world) is None


@pytest.mark.parametrize("workers", [1, 3])
def test_many_recipients_refused_by_policy_are_the_account_and_none_of_them_fails(world, account, workers):
    """550 5.7.1 for everybody. Those that were refused before it showed come back with the others."""
    account.failure = PolicyRefused(REFUSED)
    queue, began = Queue.of(world, 20, workers), world.now
    runs = list(queue.due)
    queue.until(began + timedelta(minutes=2))
    assert row_of(world).code == REFUSED
    assert len(account.attempts) <= workers * rules.RECIPIENTS + 120 / stopped_accounts.PAUSE.total_seconds() + 1
    assert {message.status for run in runs for message in world.messages(run)} == {"planned"}
    account.mended, mended_at = True, world.now
    queue.until(mended_at + SOON)
    assert len(world.performer.received) == len(set(world.performer.received)) == 20
    assert row_of(world) is None


def test_one_recipient_refused_by_policy_fails_alone(world, account):
    """Others go meanwhile, so the account is fine."""
    account.failure = PolicyRefused(REFUSED)
    queue = Queue.of(world, 1)
    [refused] = queue.due
    queue.until(world.now + timedelta(seconds=5))
    assert world.messages(refused)[0].status == "planned", "nobody knows yet"
    account.mended = True
    workers = queue.workers
    others = Queue.of(world, 3)
    others.workers = workers
    others.until(world.now + timedelta(seconds=5))
    account.mended = False
    queue.until(world.now + timedelta(minutes=1))
    assert (world.messages(refused)[0].status, world.messages(refused)[0].reason) == ("failed", REFUSED)
    assert row_of(world) is None


def test_who_was_refused_before_another_was_served_tells_nothing_of_the_account(world, account):
    breakers = Breakers(world.db, lambda: world.now)
    turn = breakers.turn("smtp", 5)
    for number in range(rules.RECIPIENTS - 1):
        assert breakers.suspects(turn, REFUSED, f"a{number}", 1) == rules.WAITS[0]
    breakers.works(turn)
    assert breakers.suspects(turn, REFUSED, "b0", 1) == rules.WAITS[0]
    assert row_of(world) is None
    for number in range(1, rules.RECIPIENTS):
        breakers.suspects(turn, REFUSED, f"b{number}", 1)
    with world.db.read() as session:
        assert stopped_accounts.find(session, "smtp").code == REFUSED


def test_a_lone_recipient_refused_by_policy_fails_in_the_end(world, account):
    """Where nobody else is written to, nothing shows whether it is the account: it is tried for twenty minutes."""
    account.failure = PolicyRefused(REFUSED)
    queue = Queue.of(world, 1)
    [run] = queue.due
    queue.until(world.now + timedelta(minutes=20))
    assert world.messages(run)[0].status == "planned"
    queue.until(world.now + timedelta(minutes=5))
    assert world.messages(run)[0].status == "failed"
    assert len(account.attempts) == len(rules.WAITS) + 1


def test_a_message_that_waits_is_listed_and_fails_after_as_long_as_any_may_wait(world, account):
    queue = Queue.of(world, 3)
    queue.until(world.now + timedelta(minutes=1))
    assert {message.status for run in queue.due for message in world.messages(run)} == {"planned"}
    runs = list(queue.due)
    world.later(days=3)
    queue.until(world.now + SOON)
    assert {(message.status, message.reason) for run in runs for message in world.messages(run)} == {("failed", REFUSED)}


def test_however_many_wait_so_many_come_back_in_a_second(world):
    breakers = Breakers(world.db, lambda: world.now)
    with world.db.write() as session:
        stopped_accounts.stop(session, "a", "x", world.now)
    after = [turn.after for _ in range(50_000) if isinstance(turn := breakers.turn("a", 5.0), rules.Stopped)]
    assert len(after) == 50_000
    for many in (1_000, 25_000, 49_000):
        assert after[many] - after[many - rules.A_SECOND] == timedelta(seconds=1)
    assert after[0] == rules.AGAIN


def test_one_answer_between_failures_is_no_stop(world):
    breakers = Breakers(world.db, lambda: world.now)
    turn = breakers.turn("a", 5.0)
    assert isinstance(turn, rules.Turn)
    for _ in range(3):
        for _ in range(rules.IN_A_ROW - 1):
            breakers.fails(turn, "smtp_unreachable", refused=False)
        breakers.works(turn)
    with world.db.read() as session:
        assert stopped_accounts.listed(session) == []


@pytest.mark.parametrize("failure", [MessageDead("smtp_554"), RetryLater("smtp_451")])
def test_what_is_wrong_with_one_message_stops_nobody_and_ends_a_stop(world, account, failure):
    queue = Queue.of(world, 3)
    queue.until(world.now)
    assert row_of(world) is not None
    account.failure = failure
    queue.until(world.now + timedelta(seconds=9))
    assert row_of(world) is None


def test_a_probe_whose_process_dies_is_made_by_another(world, account):
    queue = Queue.of(world, 2, workers=2)
    queue.until(world.now)
    world.later(seconds=6)
    turn = queue.workers[0].breakers.turn("counting.default", 5.0)
    assert isinstance(turn, rules.Turn)
    assert turn.held is not None
    world.later(seconds=1)
    assert isinstance(queue.workers[1].breakers.turn("counting.default", 5.0), rules.Stopped)
    account.mended = True
    queue.until(turn.held + rules.AGAIN)
    assert queue.due == {}


def test_a_probe_that_the_gate_lets_not_pass_is_left_to_the_next(world, account):
    queue = Queue.of(world, 2)
    queue.until(world.now)
    account.mended = True
    world.later(seconds=9)
    world.performer.verdicts.append(Refuse("no_consent"))
    queue.until(world.now)
    assert len(world.performer.received) == 1


def test_a_step_that_goes_through_no_account_knows_no_stop(world):
    assert [world.effects.account(channel) for channel in ("webhook", "custom.stamp")] == [None, None]


def test_trying_now_lets_the_next_message_try(world, account):
    queue = Queue.of(world, 1)
    queue.until(world.now)
    with world.db.write() as session:
        stopped_accounts.try_now(session, "counting.default", "test", world.now)
    world.later(seconds=2)
    turn = queue.workers[0].breakers.turn("counting.default", 5.0)
    assert isinstance(turn, rules.Turn)


def test_stop_and_end_are_audited_once(world, account):
    queue = Queue.of(world, 5, workers=2)
    queue.until(world.now + timedelta(seconds=30))
    account.mended = True
    queue.until(world.now + SOON)
    with world.db.read() as session:
        lines = session.execute(select(Audit.action, Audit.subject).where(Audit.subject == "account:counting.default")).all()
    assert [tuple(line) for line in lines] == [("account.stop", "account:counting.default"), ("account.work", "account:counting.default")]


@dataclass
class Mail:
    """A provider whose account can be broken."""

    name: str = "smtp"
    channels: frozenset[str] = frozenset({"email", "team"})
    delivery_check: DeliveryCheck = "blind"
    timeout_seconds: float = 5.0
    broken: bool = True
    sent: list[Outgoing] = field(default_factory=list)

    def verify(self) -> None:
        if self.broken:
            raise SenderStopped("smtp_535")

    def send(self, message: Outgoing) -> Answer:
        self.verify()
        self.sent.append(message)
        return Answer()

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Town:
    world: Any
    mail: Mail
    team: Mail
    effects: Effects

    def row(self) -> Any:
        with self.world.db.read() as session:
            return stopped_accounts.find(session, "smtp.default")


@pytest.fixture
def town(world) -> Town:
    messaging = MessageSettings(Tracking({"1": b"k" * 32}, "https://example.org"), (b"k" * 32,), "shop@example.org")
    mail, team = Mail(), Mail(name="other", broken=False)
    performers = {
        "email": MessageHandler(messaging, mail, "email"),
        "team": TeamHandler(messaging, team, lambda *_: Answer(), lambda: ("", team)),
    }
    with world.db.write() as session:
        for name, role in (("ada", "admin"), ("vic", "viewer")):
            session.add(Member(name=name, email=f"{name}@example.org", role=role, created_at=world.now))
        stopped_accounts.stop(session, "smtp.default", "smtp_535", world.now)
    return Town(world, mail, team, Effects(world.engine, performers, Breakers(world.db, lambda: world.now)))


def test_where_no_message_waits_the_account_itself_is_asked(town):
    town.world.later(seconds=10)
    watch(town.effects)
    assert town.row().probes == 0, "a message may come by first"
    town.world.later(minutes=1)
    watch(town.effects)
    assert town.row().probes == 1
    town.mail.broken = False
    town.world.later(minutes=1)
    watch(town.effects)
    assert town.row() is None


def told(town: Town) -> Notifier:
    return Notifier(town.effects, lambda *_: Answer(), translator)


def test_those_who_may_try_are_told_once_by_another_account(town):
    for _ in range(3):
        town.world.later(minutes=1)
        watch(town.effects)
        tell(told(town))
    [message] = town.team.sent
    assert message.recipient == "ada@example.org"
    assert "smtp.default" in message.subject
    assert "smtp_535" in message.text


def test_nobody_is_told_by_the_account_that_is_stopped(town):
    performers = {**town.effects.performers, "team": replace(town.effects.performers["team"], provider=town.mail)}
    town.effects = replace(town.effects, performers=performers)
    with town.world.db.write() as session:
        settings.put(session, "notices", {"webhook": "https://hooks.example.org"}, "test", town.world.now)
    town.world.later(minutes=5)
    watch(town.effects)
    town.mail.broken = False
    tell(told(town))
    assert town.mail.sent == []
    with town.world.db.read() as session:
        assert session.scalars(select(NoticeDelivery.route)).all() == ["webhook"]


def test_an_account_that_recipients_refuse_works_again_only_once_a_message_has_gone(town):
    """Its login was good all the time. Where it carries nothing any more, no message will ever tell."""
    town.mail.broken = False
    with town.world.db.write() as session:
        stopped_accounts.works(session, "smtp.default")
        session.add(
            ProviderAccount(account="smtp.default", provider="smtp", origin="person", created_at=town.world.now, updated_at=town.world.now)
        )
        session.add(ChannelAccount(channel="email", account="smtp.default", decided_at=town.world.now))
    breakers = town.effects.breakers
    for number in range(RECIPIENTS):
        breakers.suspects(Turn("smtp.default"), "smtp_550_5.7.1", f"{number}@example.org", 1)
    town.world.later(minutes=1)
    watch(town.effects)
    probe = breakers.turn("smtp.default", 5)
    assert probe.held is not None, "the next message is the probe"
    breakers.suspects(probe, "smtp_550_5.7.1", "0@example.org", 1)
    town.world.later(minutes=1)
    watch(town.effects)
    assert (town.row().probes, town.row().by_policy) == (1, True)
    with town.world.db.write() as session:
        session.execute(delete(ChannelAccount))
    watch(town.effects)
    assert town.row() is None
