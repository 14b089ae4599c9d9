"""The send protocol: claimed before the call, answered after it; held, in doubt, refused."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update
from temporalio.exceptions import ApplicationError

from activities.providers.provider import AddressDead, InDoubt, MessageDead, RetryLater
from activities.sending.gate import Hold, Refuse
from activities.sending.ledger import messages


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A claimed call must begin within two seconds; how long a machine takes for that is not what is tested here."""
    monkeypatch.setattr("activities.sending.effect.time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture
def run(world, reference):
    world.publish(reference)
    return world.run(world.happens(world.contact(), "Signed Up"))


def message(world, run):
    [only] = world.messages(run)
    return only


def test_a_refusal_is_recorded_and_leaves_through_skipped(world, run):
    world.performer.verdicts = [Refuse("no_consent")]
    world.perform(run)
    assert (message(world, run).status, message(world, run).reason) == ("skipped", "no_consent")
    assert ("hello", "left", "skipped") in world.trail(run)


def test_a_held_message_comes_back_when_it_may_go_and_takes_no_slot(world, run):
    until = world.now + timedelta(hours=9)
    world.performer.verdicts = [Hold(until, "quiet_hours")]
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    assert (raised.value.type, raised.value.next_retry_delay) == ("held", timedelta(hours=9))
    assert (message(world, run).status, message(world, run).claimed_at) == ("held", None)
    world.now = until
    world.perform(run)
    assert message(world, run).status == "sent"


def test_a_message_is_held_three_days_at_most(world, run):
    world.performer.verdicts = [Hold(world.now + timedelta(days=4), "frequency_cap")]
    world.perform(run)
    assert message(world, run).reason == "held_too_long_frequency_cap"


def test_an_exit_ends_a_run_whose_message_is_held(world, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.performer.verdicts = [Hold(world.now + timedelta(hours=9), "quiet_hours")]
    with pytest.raises(ApplicationError):
        world.perform(run)
    world.happens(contact, "Order Completed")
    assert world.step(run).instruction["reason"] == "exit", "the wake-up asks for a step beside the held activity"
    assert world.perform(run, 1).instruction["reason"] == "exit"
    assert world.performer.received == []


def claimed(world, run, *, answer_lost: bool):
    """A worker died between claim and answer."""
    world.performer.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.perform(run)
    if answer_lost:
        world.performer.known.add(f"{run}:hello:1")
        world.performer.received.append(f"{run}:hello:1")
    assert message(world, run).status == "claimed"


def test_a_claim_in_flight_is_not_taken_over(world, run):
    claimed(world, run, answer_lost=False)
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    assert raised.value.type == "busy"


@pytest.mark.parametrize("answer_lost", [True, False])
def test_a_lookup_provider_is_asked_and_the_message_arrives_once(world, run, answer_lost):
    world.performer.delivery_check = "lookup"
    claimed(world, run, answer_lost=answer_lost)
    world.later(minutes=1)
    world.perform(run)
    assert message(world, run).status == "sent"
    assert world.performer.received == [f"{run}:hello:1"]


def test_a_blind_provider_leaves_the_message_uncertain_and_the_run_goes_on(world, run):
    world.performer.delivery_check = "blind"
    claimed(world, run, answer_lost=True)
    world.later(minutes=1)
    assert world.perform(run).instruction["op"] == "wait"
    assert (message(world, run).status, message(world, run).reason) == ("uncertain", "no_answer")
    assert world.performer.received == [f"{run}:hello:1"], "never twice"


def test_an_idempotent_provider_is_called_again_with_the_same_key(world, run):
    claimed(world, run, answer_lost=False)
    world.later(minutes=1)
    world.perform(run)
    assert world.performer.received == [f"{run}:hello:1"]
    assert message(world, run).attempts == 2


@pytest.mark.parametrize(("hours", "status"), [(22, "sent"), (24, "uncertain")])
def test_a_call_is_not_repeated_once_the_provider_may_have_forgotten_its_key(world, run, hours, status):
    world.performer.remembers = timedelta(hours=23)
    claimed(world, run, answer_lost=True)
    world.performer.received.clear()
    world.later(hours=hours)
    world.perform(run)
    assert (message(world, run).status, len(world.performer.received)) == (status, status == "sent")


def test_an_absent_message_passes_the_whole_gate_again(world, run):
    world.performer.delivery_check = "lookup"
    claimed(world, run, answer_lost=False)
    world.later(minutes=1)
    world.performer.verdicts = [Refuse("no_consent")]
    world.perform(run)
    assert message(world, run).status == "skipped"


@pytest.mark.parametrize(
    ("failure", "status", "outlet"), [(MessageDead("too_big"), "failed", "failed"), (AddressDead("smtp_550"), "bounced", "failed")]
)
def test_a_final_failure_leaves_through_failed(world, run, failure, status, outlet):
    world.performer.failures = [failure]
    world.perform(run)
    assert (message(world, run).status, message(world, run).reason) == (status, failure.code)
    assert ("hello", "left", outlet) in world.trail(run)


def test_a_passing_failure_frees_the_claim_and_comes_back(world, run):
    world.performer.failures = [RetryLater("smtp_421", timedelta(minutes=2))]
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    assert (raised.value.type, raised.value.next_retry_delay) == ("retry_later", timedelta(minutes=2))
    assert message(world, run).status == "planned"
    world.perform(run)
    assert message(world, run).status == "sent"


def test_doubt_during_the_call_is_settled_as_the_provider_declares(world, run):
    world.performer.delivery_check = "blind"
    world.performer.failures = [InDoubt("timeout")]
    world.perform(run)
    assert message(world, run).status == "uncertain"


@pytest.mark.parametrize("check", ["idempotent", "lookup"])
def test_who_never_answers_is_called_less_and_less_and_not_for_ever(world, reference, check):
    world.publish(reference, settings={**reference.get("settings", {}), "hold_at_most": "PT1H"})
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.performer.delivery_check = check
    world.performer.failures = [InDoubt("timeout")] * 100
    pauses = []
    while not world.messages(run) or message(world, run).status == "claimed":
        with suppress(ApplicationError), noted(pauses):
            world.perform(run)
        world.now += pauses[-1]
    assert [pause.total_seconds() for pause in pauses[:6]] == [7, 7, 7, 7, 14, 28]
    assert max(pauses) == timedelta(seconds=7 * 128)
    assert timedelta(hours=1) < sum(pauses, timedelta()) < timedelta(hours=1, minutes=15), "as long as the journey holds messages"
    assert (message(world, run).status, message(world, run).reason) == ("uncertain", "timeout")
    assert ("hello", "left", "sent") in world.trail(run)


@contextmanager
def noted(pauses):
    """Keeps how long a call shall wait."""
    try:
        yield
    except ApplicationError as error:
        pauses.append(error.next_retry_delay)
        raise


def test_the_tail_of_a_call_finds_the_run_ended(world, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    sending = world.performer.send

    def exit_meanwhile(job, draft, address, attempt):
        world.happens(contact, "Order Completed")
        world.step(run)
        return sending(job, draft, address, attempt)

    world.performer.send = exit_meanwhile
    assert world.perform(run).instruction == {"op": "end", "step": 2, "reason": "exit"}
    assert message(world, run).status == "sent", "the answer is kept"


def test_an_answer_that_is_there_is_not_asked_for_again(world, run):
    """Transaction B wrote the answer, but the run was moved back (as a restored row would be)."""
    world.perform(run)
    with world.db.write() as session:
        session.execute(update(messages).values(status="sent"))
    assert world.perform(run, 1).instruction["op"] == "wait"
    assert world.performer.received == [f"{run}:hello:1"]
