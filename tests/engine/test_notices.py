"""The team is told of what waits for a person: each stuck run in one notice, one mail a reader and journey, once, whatever dies meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from activities.providers.provider import Answer, DeliveryCheck, InDoubt, MessageDead, Outgoing, RetryLater, SenderStopped
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageSettings
from activities.team.handler import TeamHandler
from activities.team.notices import TRIES, TYPES, Notifier, tell
from activities.tracking import Tracking
from engine.runs.operations import resume_stuck
from engine.runs.rows import halt, lock_run
from locales import translator
from models import Member, Notice, NoticeDelivery, Run
from workspace import notices, secrets, settings, stopped_accounts

WAITING = {
    "spec": 1,
    "key": "calm",
    "name": "Calm",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "day",
    "nodes": {"day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "day", "to": "end"}],
}
HOOK = "https://hooks.example.org/pfadwerk"


class Killed(BaseException):
    """The process ends in the middle of a call."""


@dataclass
class Mail:
    name: str = "smtp"
    channels: frozenset[str] = frozenset({"team"})
    delivery_check: DeliveryCheck = "blind"
    timeout_seconds: float = 5.0
    failure: BaseException | None = None
    sent: list[Outgoing] = field(default_factory=list)

    def verify(self) -> None:
        """Is there."""

    def send(self, message: Outgoing) -> Answer:
        if isinstance(self.failure, Killed):
            self.sent.append(message)
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)
        return Answer()

    def lookup(self, once_key: str) -> Answer | None:
        return Answer() if any(one.once_key == once_key for one in self.sent) else None

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Desk:
    """A workspace whose team is told."""

    world: Any
    mail: Mail
    notifier: Notifier
    posted: list[tuple[str, str, dict[str, Any], str | None]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def post(self, url: str, once_key: str, body: bytes, secret: str | None, now: Any) -> Answer:
        self.posted.append((url, once_key, json.loads(body), secret))
        if self.failures:
            raise self.failures.pop(0)
        return Answer()

    def set(self, **values: Any) -> None:
        with self.world.db.write() as session:
            present = settings.load(session, settings.Notices).model_dump(mode="json")
            settings.put(session, "notices", {**present, **values}, "test", self.world.now)

    def runs(self, journey_id: str, count: int) -> list[str]:
        return [self.world.run(self.world.happens(self.world.contact(), "Signed Up")) for _ in range(count)]

    def stuck(self, *run_ids: str, status: str = "stuck") -> None:
        for id in run_ids:
            with self.world.db.write() as session:
                halt(session, lock_run(session, id), self.world.now, status, "KeyError")

    def tell(self, **later: float) -> None:
        self.world.later(**later)
        tell(self.notifier)

    def states(self) -> list[tuple[str, str]]:
        with self.world.db.read() as session:
            rows = session.execute(select(NoticeDelivery.route, NoticeDelivery.state).order_by(NoticeDelivery.route, NoticeDelivery.state))
            return [tuple(row) for row in rows]


@pytest.fixture
def desk(world) -> Iterator[Desk]:
    messaging = MessageSettings(Tracking({"1": b"k" * 32}, "https://pfadwerk.example.org"), (b"k" * 32,), "shop@example.org")
    mail = Mail()
    team = TeamHandler(messaging, mail, lambda *_: Answer(), lambda: ("", mail))
    effects = Effects(world.engine, {"team": team}, Breakers(world.db, lambda: world.now))
    made = Desk(world, mail, Notifier(effects, lambda *_: Answer(), translator))
    made.notifier = replace(made.notifier, post=made.post)
    with world.db.write() as session:
        for name, role, locale in (("ada", "admin", "en"), ("tim", "tester", "de"), ("vic", "viewer", "en"), ("sue", "sales", "en")):
            session.add(Member(name=name, email=f"{name}@example.org", role=role, locale=locale, created_at=world.now))
    return made


def recipients(desk: Desk) -> list[str]:
    return sorted(message.recipient for message in desk.mail.sent)


def test_stuck_runs_of_a_journey_are_one_mail_to_each_who_may_mend_them(desk):
    calm = desk.world.publish(WAITING)
    desk.stuck(*desk.runs(calm, 3))
    desk.tell()
    assert desk.mail.sent == [], "more may get stuck of the same cause"
    desk.tell(minutes=2)
    assert recipients(desk) == ["ada@example.org", "tim@example.org"]
    english, german = sorted(desk.mail.sent, key=lambda message: message.recipient)
    assert english.subject == "3 runs are stuck in “Calm”"
    assert "3 × day: KeyError" in english.text
    assert "https://pfadwerk.example.org/ui/journeys/calm?tab=stuck" in english.text
    assert german.subject == "In „Calm“ hängen 3 Durchläufe fest"
    for _ in range(5):
        desk.tell(hours=2)
    assert len(desk.mail.sent) == 2


def test_what_gets_stuck_afterwards_waits_until_the_interval_is_over(desk):
    calm = desk.world.publish(WAITING)
    desk.stuck(*desk.runs(calm, 1))
    desk.tell()
    desk.tell(minutes=2)
    desk.stuck(*desk.runs(calm, 4))
    desk.tell(minutes=30)
    desk.tell(minutes=2)
    assert len(desk.mail.sent) == 2
    desk.stuck(*desk.runs(calm, 1), status="quarantined")
    desk.tell(minutes=29)
    assert sorted({message.subject for message in desk.mail.sent})[0] == "5 runs are stuck in “Calm”"
    assert len(desk.mail.sent) == 4
    desk.stuck(*desk.runs(calm, 1))
    desk.tell(hours=5)
    assert len(desk.mail.sent) == 4, "more may get stuck of the same cause, however long ago the last ones did"
    desk.tell(minutes=2)
    assert len(desk.mail.sent) == 6


def test_a_run_is_told_of_once_for_each_time_it_gets_stuck(desk):
    [run] = desk.runs(desk.world.publish(WAITING), 1)
    desk.set(roles=["admin"])
    desk.stuck(run)
    desk.tell()
    desk.tell(minutes=2)
    desk.stuck(run)  # its workflow asked again
    desk.tell(hours=3)
    desk.tell(minutes=2)
    assert len(desk.mail.sent) == 1
    with desk.world.db.write() as session:
        resume_stuck(desk.world.engine, session, run, "test", desk.world.now)
    desk.stuck(run)
    desk.tell(hours=3)
    desk.tell(minutes=2)
    assert len(desk.mail.sent) == 2


def test_what_is_mended_before_anybody_was_told_is_not_told(desk):
    [run] = desk.runs(desk.world.publish(WAITING), 1)
    desk.stuck(run)
    desk.tell()
    with desk.world.db.write() as session:
        resume_stuck(desk.world.engine, session, run, "test", desk.world.now)
    desk.tell(minutes=2)
    with desk.world.db.read() as session:
        assert session.scalars(select(Notice.state)).all() == ["withdrawn"]
    assert desk.mail.sent == []


def test_the_webhook_gets_one_signed_call_a_notice(desk):
    with desk.world.db.write() as session:
        secrets.put(session, (b"k" * 32,), "alarm", "whsec_c2VjcmV0", "test", desk.world.now)
    desk.set(mail=False, webhook=HOOK, webhook_secret="alarm")
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 2))
    desk.tell()
    desk.tell(minutes=2)
    desk.tell(minutes=2)
    [(url, key, body, secret)] = desk.posted
    assert (url, secret, key.partition("_")[0]) == (HOOK, "whsec_c2VjcmV0", "notice")
    assert body["type"] == "runs.stuck"
    assert body["data"] == {
        "journey": "calm", "name": "Calm", "count": 2, "places": [{"node": "day", "reason": "KeyError", "count": 2}],
        "url": "https://pfadwerk.example.org/ui/journeys/calm?tab=stuck",
    }  # fmt: skip
    assert desk.mail.sent == []


def test_a_webhook_that_does_not_answer_is_called_again_under_the_same_id(desk):
    desk.set(mail=False, webhook=HOOK)
    desk.failures += [RetryLater("http_503", timedelta(seconds=30)), InDoubt("timeout")]
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    for _ in range(6):
        desk.tell(minutes=3)
    assert len(desk.posted) == 3
    assert len({key for _, key, _, _ in desk.posted}) == 1
    assert desk.states() == [("webhook", "sent")]


def test_a_webhook_that_refuses_is_not_called_again_and_one_that_never_answers_is_given_up(desk):
    desk.set(mail=False, webhook=HOOK)
    desk.failures = [MessageDead("http_404")]
    calm = desk.world.publish(WAITING)
    desk.stuck(*desk.runs(calm, 1))
    desk.tell()
    for _ in range(5):
        desk.tell(hours=3)
    assert len(desk.posted) == 1
    desk.failures = [RetryLater("timeout")] * 50
    desk.stuck(*desk.runs(calm, 1))
    for _ in range(30):
        desk.tell(hours=3)
    assert len(desk.posted) == 1 + TRIES
    assert desk.states() == [("webhook", "failed"), ("webhook", "failed")]


@pytest.mark.parametrize(
    ("delivery_check", "again", "state"), [("blind", 0, "uncertain"), ("lookup", 0, "sent"), ("idempotent", 1, "sent")]
)
def test_a_worker_that_dies_in_the_middle_of_a_mail_sends_none_twice(desk, delivery_check, again, state):
    desk.mail.delivery_check = delivery_check
    desk.set(roles=["admin"])
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.mail.failure = Killed()
    with pytest.raises(Killed):
        desk.tell(minutes=2)
    desk.mail.failure = None
    for _ in range(4):
        desk.tell(minutes=1)
    assert len(desk.mail.sent) == 1 + again, "an idempotent provider makes one message of the same key"
    assert len({message.once_key for message in desk.mail.sent}) == 1
    assert desk.states() == [("mail", state)]


def test_a_worker_that_dies_in_the_middle_of_a_call_has_it_made_again(desk):
    desk.set(mail=False, webhook=HOOK)
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.failures = [Killed()]  # type: ignore[list-item]
    with pytest.raises(Killed):
        desk.tell(minutes=2)
    desk.tell(seconds=5)
    assert len(desk.posted) == 1, "the claim holds until nobody can be at it any more"
    desk.tell(minutes=1)
    assert desk.states() == [("webhook", "sent")]


def test_what_a_dead_process_had_claimed_is_claimed_by_one_and_ended_by_that_one(desk):
    desk.set(webhook=HOOK, mail=False)
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.world.later(minutes=2)
    now, second = desk.world.now, timedelta(seconds=1)
    with desk.world.db.write() as session:
        [due] = notices.due(session, now)
        notices.settle(session, due, [("webhook", "")], now)
        [dead] = notices.to_deliver(session, now)
        assert notices.claim(session, dead, now + second)
        [left] = notices.to_deliver(session, now + second)
        assert notices.claim(session, left, now + 9 * second)
        assert not notices.claim(session, left, now + 9 * second), "another keeper saw it, too"
        notices.end(session, dead, "failed", "late", now)
        assert session.scalars(select(NoticeDelivery.state)).all() == ["claimed"], "it is not dead after all, and comes too late"
        notices.end(session, left, "sent", "", now)
        assert session.scalars(select(NoticeDelivery.state)).all() == ["sent"]


def test_two_keepers_at_once_tell_once(desk):
    desk.set(webhook=HOOK)
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.world.later(minutes=2)
    with desk.world.db.read() as session:
        [seen] = notices.due(session, desk.world.now)
    tell(desk.notifier)
    with desk.world.db.write() as session:
        notices.settle(session, seen, [("webhook", "")], desk.world.now)
    tell(desk.notifier)
    assert (len(desk.posted), len(desk.mail.sent)) == (1, 2)


def test_mails_wait_while_their_account_is_stopped(desk):
    desk.set(roles=["admin"])
    with desk.world.db.write() as session:
        stopped_accounts.stop(session, "smtp.default", "smtp_535", desk.world.now)
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    for _ in range(3):
        desk.tell(minutes=2)
    assert desk.mail.sent == []
    with desk.world.db.write() as session:
        stopped_accounts.works(session, "smtp.default")
    desk.tell(minutes=1)
    assert recipients(desk) == ["ada@example.org"]


def test_an_account_that_refuses_a_notice_counts_as_stopped(desk):
    desk.set(roles=["admin"])
    desk.mail.failure = SenderStopped("smtp_535")
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.tell(minutes=2)
    with desk.world.db.read() as session:
        assert [row.account for row in stopped_accounts.listed(session)] == ["smtp.default"]


def test_where_nobody_may_mend_an_admin_is_told(desk):
    desk.set(roles=["marketer"])
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.tell(minutes=2)
    assert recipients(desk) == ["ada@example.org"]


def test_more_than_a_page_is_one_notice(desk):
    desk.notifier = replace(desk.notifier, page=2)
    desk.set(roles=["admin"])
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 5))
    desk.tell()
    desk.tell(minutes=2)
    assert [message.subject for message in desk.mail.sent] == ["5 runs are stuck in “Calm”"]


def test_stuck_runs_are_counted_by_journey(desk):
    calm = desk.world.publish(WAITING)
    first, second, third = desk.runs(calm, 3)
    desk.stuck(first)
    desk.stuck(second, status="quarantined")
    desk.stuck(third, status="held")
    with desk.world.db.read() as session:
        assert [(row.key, row.number) for row in notices.stuck(session)] == [("calm", 2)]


def test_old_notices_are_forgotten_but_for_those_whose_runs_are_stuck_still(desk):
    desk.set(mail=False, webhook=HOOK)
    calm = desk.world.publish(WAITING)
    first, second = desk.runs(calm, 2)
    desk.stuck(first)
    desk.tell()
    desk.tell(minutes=2)
    desk.stuck(second)
    desk.tell(hours=2)
    desk.tell(minutes=2)
    with desk.world.db.write() as session:
        resume_stuck(desk.world.engine, session, second, "test", desk.world.now)
    desk.tell(days=31)
    with desk.world.db.read() as session:
        assert session.scalars(select(Notice.id)).all() == [session.get_one(Run, first).notice_id]
        assert session.scalars(select(NoticeDelivery.route)).all() == ["webhook"]


def test_a_test_goes_to_the_webhook_and_to_whoever_asks(desk):
    desk.set(webhook=HOOK, mail=False)
    with desk.world.db.write() as session:
        vic = session.scalar(select(Member.id).where(Member.name == "vic"))
        notices.test(session, f"member:{vic}", vic, desk.world.now)
        notices.test(session, f"member:{vic}", vic, desk.world.now)
    desk.tell()
    assert recipients(desk) == ["vic@example.org"]
    assert [body["type"] for _, _, body, _ in desk.posted] == ["test"]


def test_every_topic_has_a_type():
    assert set(TYPES) == {notices.STUCK, notices.STOPPED, notices.COUPONS, notices.SCORED, notices.TEST}


def test_a_member_who_left_meanwhile_is_not_written_to(desk):
    desk.set(roles=["admin"])
    desk.mail.failure = RetryLater("busy")
    desk.stuck(*desk.runs(desk.world.publish(WAITING), 1))
    desk.tell()
    desk.tell(minutes=2)
    desk.mail.failure = None
    with desk.world.db.write() as session:
        session.execute(update(Member).values(active=False))
    desk.tell(minutes=5)
    assert desk.mail.sent == []
    assert desk.states() == [("mail", "failed")]
