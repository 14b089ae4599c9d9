"""Two contacts with one number, reached by one send: one message goes there, whatever happens on the way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from temporalio.exceptions import ApplicationError

from activities.providers.provider import Answer, DeliveryCheck, MessageDead, Outgoing, RetryLater
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.ledger import messages
from activities.sending.messages import MessageHandler, MessageSettings
from activities.tracking import Tracking
from crm.consent.consent import Evidence, record_consent
from engine.enrolment import manual
from engine.enrolment.routing import Entered
from engine.runs import operations as running
from journeys.calls import activity_of
from models import Contact, Run, new_id
from tests.engine.conftest import World

NUMBER = "+41446681800"
JOURNEY = {
    "spec": 1,
    "key": "news",
    "name": "News",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}], "reentry": {"policy": "after_exit"}},
    "start": "hello",
    "nodes": {"hello": {"kind": "send_sms", "text": "Hello"}, "end": {"kind": "exit"}},
    "edges": [{"from": "hello", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
}
SMS = activity_of("sms")


@dataclass
class Phone:
    """A provider that keeps what it was given; the failures it shall raise are put in beforehand."""

    name: str = "phone"
    channels: frozenset[str] = frozenset({"sms"})
    delivery_check: DeliveryCheck = "idempotent"
    timeout_seconds: float = 600.0
    remembers: timedelta = timedelta(0)
    received: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def send(self, message: Outgoing) -> Answer:
        if self.failures:
            raise self.failures.pop(0)
        self.received.append(message.recipient)
        return Answer(provider_id=message.once_key)

    def lookup(self, once_key: str) -> Answer | None:
        return None


@dataclass
class Town:
    world: World
    phone: Phone
    effects: Effects
    journey: str

    def people(self, *numbers: str) -> list[str]:
        """Contacts with these numbers, who agreed."""
        made = []
        with self.world.db.write() as session:
            for number in numbers:
                contact = Contact(id=new_id(), phone=number, created_at=self.world.now, updated_at=self.world.now)
                session.add(contact)
                session.flush()
                record_consent(session, contact.id, "sms", "marketing", "granted", self.world.now, evidence=Evidence.DATED, source=number)
                made.append(contact.id)
        return made

    def enrol(self, occasion: str, *people: str) -> list[str]:
        runs = []
        with self.world.db.write() as session:
            for contact_id in people:
                entered = manual.enrol_contact(self.world.engine, session, self.journey, contact_id, {}, self.world.now, "test", occasion)
                assert isinstance(entered, Entered)
                runs.append(entered.run_id)
        return runs

    def send(self, run_id: str) -> None:
        row = self.world.row(run_id)
        perform(self.effects, SMS, run_id, row.step, self.world.now)

    def fates(self, *runs: str) -> list[tuple[str, str]]:
        return [(one.status, one.reason) for run in runs for one in self.world.messages(run)]


@pytest.fixture
def town(world: World) -> Town:
    phone = Phone()
    messaging = MessageSettings(Tracking({"k": b"k" * 32}, "http://localhost"), (b"n" * 32, b"k" * 32), "")
    performer = MessageHandler(messaging, phone, "sms")
    return Town(world, phone, Effects(world.engine, {"sms": performer}, Breakers(world.db)), world.publish(JOURNEY))


def test_one_message_goes_to_a_number_and_send(town: Town) -> None:
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER, "+41446681801"))
    for run in runs:
        town.send(run)
    assert town.phone.received == [NUMBER, "+41446681801"]
    assert town.fates(*runs) == [("sent", ""), ("skipped", "same_mailbox"), ("sent", "")]
    assert ("hello", "left", "skipped") in town.world.trail(runs[1])


@pytest.mark.parametrize("occasions", [("job:1", "job:2"), ("", ""), ("job:1", "")])
def test_other_sends_are_other_messages(town: Town, occasions: tuple[str, str]) -> None:
    people = town.people(NUMBER, NUMBER)
    for occasion, contact_id in zip(occasions, people, strict=True):
        town.send(town.enrol(occasion, contact_id)[0])
    assert town.phone.received == [NUMBER, NUMBER]


def test_two_orders_are_two_confirmations(town: Town) -> None:
    """Runs by key share nothing with each other."""
    entry = {**JOURNEY["entry"], "reentry": {"policy": "per_key", "key": "order_id"}}
    town.world.publish(JOURNEY, entry=entry)
    for order, contact_id in enumerate(town.people(NUMBER, NUMBER)):
        [run] = town.world.happens(contact_id, "Signed Up", {"order_id": str(order)}).starts
        town.send(run)
    assert town.phone.received == [NUMBER, NUMBER]


@pytest.mark.parametrize("policy", ["never", "after_exit"])
def test_two_accounts_with_one_address_are_welcomed_once_a_day(town: Town, policy: str) -> None:
    town.world.publish(JOURNEY, entry={**JOURNEY["entry"], "reentry": {"policy": policy}})
    one, other = town.people(NUMBER, NUMBER)
    for contact_id in (one, other):
        [run] = town.world.happens(contact_id, "Signed Up").starts
        town.send(run)
    assert town.phone.received == [NUMBER]
    assert town.fates(run) == [("skipped", "same_mailbox")]


def test_what_one_contact_does_twice_a_day_is_answered_twice(town: Town) -> None:
    [contact_id] = town.people(NUMBER)
    occasions = []
    for _ in range(2):
        [run] = town.world.happens(contact_id, "Signed Up").starts
        occasions.append(town.world.row(run).occasion)
        with town.world.db.write() as session:
            running.end_run(town.world.engine, session, run, "test", town.world.now)
    assert len(set(occasions)) == 2


def test_a_transactional_message_goes_to_each_account(town: Town) -> None:
    town.world.publish(JOURNEY, settings={"message_class": "transactional"})
    for run in town.enrol("job:1", *town.people(NUMBER, NUMBER)):
        town.send(run)
    assert town.phone.received == [NUMBER, NUMBER]


def test_a_message_that_failed_blocks_nobody(town: Town) -> None:
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER))
    town.phone.failures = [MessageDead("bad")]
    for run in runs:
        town.send(run)
    assert town.fates(*runs) == [("failed", "bad"), ("sent", "")]


def test_a_message_that_must_be_tried_again_blocks_nobody(town: Town) -> None:
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER))
    town.phone.failures = [RetryLater("busy", timedelta(minutes=5))]
    with pytest.raises(ApplicationError, match="busy"):
        town.send(runs[0])
    town.send(runs[1])
    town.send(runs[0])
    assert town.fates(*runs) == [("skipped", "same_mailbox"), ("sent", "")]
    assert town.phone.received == [NUMBER]


def test_while_the_first_is_on_its_way_the_second_waits(town: Town) -> None:
    """Its worker was killed after the claim; the answer decides what becomes of the other."""
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER))
    town.phone.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        town.send(runs[0])
    for _ in range(2):
        with pytest.raises(ApplicationError) as held:
            town.send(runs[1])
        assert held.value.type == "held"
        town.world.later(hours=1)
    assert town.fates(runs[1]) == [("held", "same_mailbox")]
    town.send(runs[0])
    town.send(runs[1])
    assert town.fates(*runs) == [("sent", ""), ("skipped", "same_mailbox")]
    assert town.phone.received == [NUMBER]


def test_a_message_whose_fate_stays_unknown_holds_the_other_for_a_bounded_time(town: Town) -> None:
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER))
    town.phone.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        town.send(runs[0])
    with pytest.raises(ApplicationError):
        town.send(runs[1])
    town.world.later(days=4)
    town.send(runs[1])
    assert town.fates(runs[1]) == [("skipped", "held_too_long_same_mailbox")]


def test_two_workers_at_once_send_one(town: Town) -> None:
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER, NUMBER, NUMBER))
    barrier = threading.Barrier(len(runs))
    waiting: list[str | None] = []

    def work(run: str) -> None:
        barrier.wait()
        try:
            town.send(run)
        except ApplicationError as error:
            waiting.append(error.type)

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert town.phone.received == [NUMBER]
    assert set(waiting) <= {"held"}
    town.world.later(hours=1)
    for run in runs:
        if town.world.row(run).ended_at is None:
            town.send(run)
    assert sorted(town.fates(*runs)) == [("sent", ""), *[("skipped", "same_mailbox")] * 3]


def test_the_database_refuses_a_second_holder(town: Town) -> None:
    """Whatever the code above does: the key is unique."""
    runs = town.enrol("job:1", *town.people(NUMBER, NUMBER))
    town.send(runs[0])
    town.send(runs[1])
    [first] = town.world.messages(runs[0])
    same = update(messages).where(messages.c.run_id == runs[1]).values(mailbox_key=first.mailbox_key)
    with town.world.db.engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(same)


def test_what_is_entered_together_is_one_occasion(town: Town) -> None:
    people = town.people(NUMBER, NUMBER)
    with town.world.db.write() as session:
        manual.enrol_page(town.world.engine, session, town.journey, None, "", town.world.now, "job:7")
        found = {session.get_one(Run, run.id).occasion for run in session.query(Run).where(Run.contact_id.in_(people))}  # type: ignore[attr-defined]
    assert found == {"job:7"}
