"""Uncertain messages: a person decides, and what is to be sent again goes through the gate once more, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from activities.happenings import Streak, record
from activities.providers.callback import Happening
from activities.providers.provider import AddressDead, Answer, InDoubt, MessageDead, RetryLater, SenderStopped
from activities.sending import ledger
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.gate import Hold, Refuse
from activities.sending.reconcile import settle
from activities.sending.resend import send_due
from crm.uncertain import decide
from engine.runs.operations import end_run
from journeys.errors import Conflict, NotFound
from models import Audit, Body, Event, Message, Restore, RestoredMessage, new_id
from reports.messages import undecided
from tests.engine.conftest import StoryClock
from workspace import stopped_accounts


@pytest.fixture
def uncertain(world, reference):
    """A message of a provider that cannot tell what became of it, whose call never came back; its run went on."""

    def record(session, job, draft, address):
        body = Body(id=new_id(), contact_id=job.row.contact_id, recipient=address, text="Hello", created_at=job.as_of)
        session.add(body)
        session.flush()
        return {"body_id": body.id}

    world.publish(reference)
    world.performer.delivery_check, world.performer.record = "blind", record
    world.performer.failures = [InDoubt("no_answer")]
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(run)
    assert (the(world).status, world.row(run).node) == ("uncertain", "day")
    return the(world).id


def the(world) -> Message:
    with world.db.read() as session:
        return session.scalars(select(Message)).one()


def say(world, id, decision, attempts=1):
    with world.db.write() as session:
        decide(session, id, decision, attempts, "member:m1", world.now)


def answered_late(world):
    """The first attempt comes back after all, as `effect` writes it."""
    message = the(world)
    with world.db.write() as session:
        ledger.count_fate(session, message.once_key, message, message.node, "sent", "", {}, world.now)
        ledger.put(session, message.once_key, {}, world.now, status="sent", reason="", provider_id="first")


@pytest.mark.parametrize("kind", ["sent", "delivered"])
def test_a_report_that_it_has_left_after_all_counts_it_again(world, uncertain, kind):
    """The fixture of every test here compares what is counted with the rows."""
    say(world, uncertain, "again")
    message = the(world)
    with world.db.write() as session:
        session.add(Restore(id="r", since=world.now, until=world.now, assume="ask", restored_at=world.now))
        session.flush()
        session.add(RestoredMessage(message_id=uncertain, restore_id="r", assumed="unsent", decided_at=world.now))
    world.later(days=2)
    with world.db.write() as session:
        told = Happening(kind, message_id=uncertain, at=world.now)
        assert record(session, (b"k" * 32,), message.account, told, Streak(5, timedelta(days=30)), world.now)[0] == "taken"
    look(world)
    assert (the(world).status, world.performer.received) == (kind, [])
    with world.db.read() as session:
        assert session.get_one(RestoredMessage, uncertain).assumed == "sent"


def look(world):
    send_due(world.effects)


@pytest.fixture(autouse=True)
def clock(world):
    """The engine goes by the world's clock."""
    world.engine.clock = StoryClock(world)


def test_sent_and_left_are_facts_and_send_nothing(world, uncertain):
    with world.db.read() as session:
        assert undecided(session) == 1
    say(world, uncertain, "sent")
    look(world)
    assert (the(world).status, the(world).reason, world.performer.received) == ("sent", "confirmed", [])
    with world.db.read() as session:
        assert undecided(session) == 0
        line = session.scalars(select(Audit).where(Audit.action == "message.decide")).one()
        assert (line.actor, line.subject) == ("member:m1", f"message:{uncertain}")
        assert line.detail == {"decision": "sent", "was": "no_answer", "attempts": 1}


def test_what_is_left_is_decided_once(world, uncertain):
    say(world, uncertain, "leave")
    with world.db.read() as session:
        assert undecided(session) == 0
    assert (the(world).status, the(world).reason) == ("uncertain", "left")
    with pytest.raises(Conflict):
        say(world, uncertain, "again")


def test_sent_again_under_the_same_key_once(world, uncertain):
    say(world, uncertain, "again")
    look(world)
    look(world)
    message = the(world)
    assert (message.status, message.attempts, world.performer.received) == ("sent", 2, [message.once_key])
    with world.db.read() as session:
        assert session.get_one(Body, message.body_id).text == "Hello"
        assert len(session.scalars(select(Event).where(Event.name == "Message Sent")).all()) == 1


@pytest.mark.parametrize("second", ["again", "sent", "leave"])
def test_a_second_click_or_person_is_told(world, uncertain, second):
    say(world, uncertain, "again")
    with pytest.raises(Conflict):
        say(world, uncertain, second)
    look(world)
    with pytest.raises(Conflict):
        say(world, uncertain, second)
    assert len(world.performer.received) == 1


def test_a_page_from_before_the_last_attempt_decides_nothing(world, uncertain):
    say(world, uncertain, "again")
    world.performer.failures = [InDoubt("cut_off")]
    look(world)
    assert (the(world).status, the(world).reason, the(world).attempts) == ("uncertain", "cut_off", 2)
    with pytest.raises(Conflict):
        say(world, uncertain, "again", 1)
    say(world, uncertain, "again", 2)


def test_the_gate_is_asked_again(world, uncertain):
    say(world, uncertain, "again")
    world.performer.verdicts = [Hold(world.now + timedelta(hours=9), "quiet_hours"), Refuse("no_consent")]
    look(world)
    look(world)
    assert (the(world).status, the(world).held_until) == ("held", world.now + timedelta(hours=9))
    world.later(hours=9)
    look(world)
    assert (the(world).status, the(world).reason, world.performer.received) == ("uncertain", "no_consent", [])


def test_a_hold_without_end_leaves_it_uncertain(world, uncertain):
    say(world, uncertain, "again")
    world.performer.verdicts = [Hold(world.now + timedelta(days=400), "frequency_cap")]
    look(world)
    assert (the(world).status, the(world).reason) == ("uncertain", "held_too_long_frequency_cap")


def test_a_process_that_dies_in_the_call_leaves_it_uncertain_and_sends_nothing_by_itself(world, uncertain):
    say(world, uncertain, "again")
    world.performer.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        look(world)
    assert (the(world).status, the(world).attempts) == ("claimed", 2)
    world.later(minutes=1)
    look(world)
    settle(world.effects)
    look(world)
    assert (the(world).status, the(world).reason, world.performer.received) == ("uncertain", "no_answer", [])


def test_a_provider_that_can_tell_is_asked_first(world, uncertain):
    world.performer.delivery_check = "lookup"
    world.performer.known.add(the(world).once_key)
    say(world, uncertain, "again")
    look(world)
    assert (the(world).status, the(world).attempts, world.performer.received) == ("sent", 1, [])


def test_what_certainly_did_not_arrive_comes_back_for_as_long_as_the_journey_waits(world, uncertain):
    say(world, uncertain, "again")
    world.performer.failures = [RetryLater("busy", timedelta(minutes=1)), RetryLater("busy", timedelta(days=400))]
    look(world)
    assert (the(world).status, the(world).reason, the(world).attempts) == ("held", "send_again", 2)
    world.later(minutes=1)
    look(world)
    assert (the(world).status, the(world).reason, the(world).attempts) == ("uncertain", "busy", 3)


@pytest.mark.parametrize(("failure", "status"), [(AddressDead("gone"), "bounced"), (MessageDead("refused"), "failed")])
def test_a_refusal_is_its_end(world, uncertain, failure, status):
    say(world, uncertain, "again")
    world.performer.failures = [failure]
    look(world)
    assert (the(world).status, the(world).reason) == (status, failure.code)
    assert (the(world).bounced_at is None) is (status == "failed")


def test_a_late_answer_of_the_first_attempt_is_kept(world, uncertain):
    say(world, uncertain, "again")
    answered_late(world)
    look(world)
    assert (the(world).status, world.performer.received) == ("sent", [])


def test_a_late_answer_during_the_call_is_not_written_over(world, uncertain):
    def send(job, draft, address, attempt):
        answered_late(world)
        return Answer(provider_id="second")

    say(world, uncertain, "again")
    world.performer.send = send
    look(world)
    assert the(world).provider_id == "first"


def test_the_end_of_the_run_does_not_take_it_back(world, uncertain):
    """It waits for quiet hours while the run stands at its next message and ends there."""
    say(world, uncertain, "again")
    run = the(world).run_id
    world.later(days=1)
    world.step(run)
    assert world.row(run).state["blocked"]["answer"] == "do"
    with world.db.write() as session:
        end_run(world.engine, session, run, "member:m1", world.now)
    assert (the(world).status, the(world).reason) == ("held", "send_again")


def test_what_has_no_text_any_more_cannot_be_sent_again(world, uncertain):
    say(world, uncertain, "again")
    with world.db.write() as session:
        session.delete(session.get_one(Body, the(world).body_id))
    look(world)
    assert (the(world).status, the(world).reason) == ("uncertain", "no_body")
    with world.db.write() as session:
        session.execute(update(Message).values(body_id=None))
    with pytest.raises(Conflict, match="its text is not kept"):
        say(world, uncertain, "again")


def test_nobody_decides_what_is_not_uncertain_or_not_there(world, uncertain):
    with pytest.raises(NotFound):
        say(world, "nothing", "sent")
    say(world, uncertain, "sent")
    with pytest.raises(Conflict):
        say(world, uncertain, "leave")


def test_while_its_account_is_stopped_it_waits_and_is_no_second_probe(world, uncertain):
    world.effects = Effects(world.engine, world.effects.performers, Breakers(world.db, lambda: world.now))
    with world.db.write() as session:
        stopped_accounts.stop(session, "counting.default", "smtp_535", world.now)
    say(world, uncertain, "again")
    look(world)
    assert (the(world).status, the(world).attempts) == ("held", 1)
    world.later(seconds=15)
    world.performer.failures = [SenderStopped("smtp_535")]
    look(world)
    assert (the(world).status, the(world).attempts, world.performer.received) == ("held", 2, [])
    world.later(seconds=15)
    look(world)
    with world.db.read() as session:
        assert stopped_accounts.find(session, "counting.default") is None
    assert the(world).status == "sent"
