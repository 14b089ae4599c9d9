"""Two attempts at one effect: the second begins because the first was too slow or died, and then both may be at it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.providers.provider import Answer, RetryLater
from activities.sending.effect import NotServed, give_up
from activities.sending.gate import Hold, Refuse
from activities.sending.handler import CannotPrepare
from activities.sending.ledger import MARGIN
from activities.sending.temporal_activities import TRIES, effect_activity
from engine.runs.rows import WAIT_FOR_SIGNAL


@pytest.fixture
def run(world, reference):
    world.publish(reference, exit_when=[{"rule": {"combinator": "and", "rules": [{"event": "Order Completed", "did": True}]}}])
    return world.run(world.happens(world.contact(), "Signed Up"))


def message(world, run):
    [only] = world.messages(run)
    return only


def dies_during_the_call(world, run, *, arrived):
    world.performer.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.perform(run)
    if arrived:
        world.performer.known.add(f"{run}:hello:1")
        world.performer.received.append(f"{run}:hello:1")
    world.later(minutes=1)


def cannot_be_prepared(world):
    def prepare(session, job):
        raise CannotPrepare("no_template")

    world.performer.prepare = prepare


def test_a_slow_attempt_does_not_free_the_claim_of_the_next(world, run):
    """The first call fails when its lease is long over and a second one is on its way: a third must not begin."""
    seen = []

    def first_then_second(job, draft, address, attempt):
        if attempt == 1:
            world.later(minutes=1)
            with pytest.raises(KeyboardInterrupt):
                world.perform(run, 1)
            raise RetryLater("too_late", timedelta(seconds=1))
        seen.append(attempt)
        raise KeyboardInterrupt

    world.performer.send = first_then_second
    with pytest.raises(ApplicationError):
        world.perform(run)
    assert seen == [2]
    assert (message(world, run).status, message(world, run).attempts) == ("claimed", 2)


def test_a_process_that_stood_still_after_its_claim_does_not_call(world, run, monkeypatch):
    """Its lease may be over and somebody else at it."""
    now, real = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + now[0])
    commit = world.db.engine.dialect.do_commit

    def freeze(connection):
        commit(connection)
        now[0] += MARGIN.total_seconds() + 1

    world.db.engine.dialect.do_commit = freeze
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    world.db.engine.dialect.do_commit = commit
    assert raised.value.type == "retry_later"
    assert world.performer.received == []
    assert (message(world, run).status, message(world, run).reason) == ("planned", "stalled")
    world.perform(run)
    assert world.performer.received == [f"{run}:hello:1"]


def test_waiting_for_the_database_does_not_eat_up_the_lease(world, run, monkeypatch):
    now, real = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + now[0])
    prepare = world.performer.prepare

    def slowly(session, job):
        now[0] += 30
        return prepare(session, job)

    world.performer.prepare = slowly
    world.performer.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.perform(run)
    left = message(world, run).lease_until - world.now
    assert left >= timedelta(seconds=30 + world.performer.timeout_seconds) + MARGIN


def test_what_was_sent_and_cannot_be_prepared_again_is_not_called_skipped(world, run):
    world.performer.delivery_check = "lookup"
    dies_during_the_call(world, run, arrived=True)
    cannot_be_prepared(world)
    world.perform(run)
    assert message(world, run).status == "sent"


@pytest.mark.parametrize(("delivery_check", "status"), [("lookup", "skipped"), ("blind", "uncertain"), ("idempotent", "uncertain")])
def test_what_cannot_be_prepared_again_ends_as_what_is_known_of_it(world, run, delivery_check, status):
    world.performer.delivery_check = delivery_check
    dies_during_the_call(world, run, arrived=False)
    cannot_be_prepared(world)
    world.perform(run)
    assert message(world, run).status == status
    assert world.performer.received == []


def test_a_doubtful_call_that_may_not_be_repeated_stays_uncertain(world, run):
    dies_during_the_call(world, run, arrived=True)
    world.performer.verdicts = [Refuse("no_consent")]
    world.perform(run)
    assert (message(world, run).status, message(world, run).reason) == ("uncertain", "no_consent")


def test_a_doubtful_call_that_must_wait_stays_in_doubt_and_is_repeated_then(world, run):
    dies_during_the_call(world, run, arrived=True)
    until = world.now + timedelta(hours=9)
    world.performer.verdicts = [Hold(until, "quiet_hours")]
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    assert (raised.value.type, message(world, run).status) == ("held", "claimed")
    world.now = until
    world.perform(run)
    assert (message(world, run).status, message(world, run).attempts) == ("sent", 2)


def test_a_late_answer_corrects_an_uncertain_message(world, run):
    world.performer.delivery_check = "blind"

    def answers_late(job, draft, address, attempt):
        world.later(minutes=1)
        assert world.perform(run, 1).instruction["op"] == "wait"
        assert message(world, run).status == "uncertain"
        return Answer(provider_id="p1")

    world.performer.send = answers_late
    world.perform(run)
    assert (message(world, run).status, message(world, run).provider_id) == ("sent", "p1")
    assert world.row(run).step == 2, "the run had gone on"


def test_an_exit_rule_sees_an_order_that_came_after_the_attempt_began(world, run):
    """The attempt began a second before the order was stored; what it reads of the inbox must count."""
    began = world.now
    world.later(seconds=1)
    world.happens(world.row(run).contact_id, "Order Completed")
    world.now = began
    assert world.perform(run).instruction["reason"] == "exit"
    assert world.performer.received == []


def test_a_run_that_the_database_does_not_know_waits_for_its_wakeup(world):
    """Its workflow is younger than the backup that was restored; asking again and again would help nobody."""
    waits = {"op": "wait", "step": 3, "until": None}
    assert world.step("0" * 32, 3).instruction == waits
    assert world.perform("0" * 32, 3).instruction == waits


class Unforeseen(Exception):
    pass


def attempted(world, run, number, attempt):
    """The activity as Temporal calls it, with the number of the attempt."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, started_time=world.engine.clock.to_real(world.now))
    return environment.run(effect_activity(world.effects, SimpleNamespace(wake_soon=lambda wakeups: None), "email"), run, number)


@pytest.mark.parametrize("place", ["prepare", "ask", "send"])
def test_an_error_that_nobody_foresaw_ends_with_a_stuck_run_that_can_be_tried_again(world, run, place, monkeypatch):
    def fails(*_):
        raise Unforeseen("ada@example.org")

    number = world.row(run).step
    with monkeypatch.context() as broken:
        broken.setattr(world.performer, place, fails)
        with pytest.raises(ApplicationError, match=r"Unforeseen in .*test_attempts\.py") as raised:
            attempted(world, run, number, TRIES - 1)
        assert "ada" not in str(raised.value)
        world.later(minutes=5)
        assert attempted(world, run, number, TRIES) == {**WAIT_FOR_SIGNAL, "step": number}
    row = world.row(run)
    assert (row.status, row.reason, row.step) == ("stuck", "Unforeseen", number)
    assert row.error.startswith("Unforeseen in ")
    assert "ada" not in row.error
    world.later(minutes=5)
    assert attempted(world, run, number, 1)["op"] == "wait", "resumed, it goes on to the next wait"
    assert world.row(run).status == "active"


def test_a_run_that_has_gone_on_meanwhile_is_not_given_up(world, run):
    number = world.row(run).step
    world.perform(run)
    after = world.row(run)
    assert give_up(world.engine, run, number, world.now, Unforeseen()).instruction == after.instruction
    assert world.row(run).status == "active"


@pytest.mark.parametrize("error", [OperationalError("select", {}, Exception()), NotServed("x")])
def test_a_database_that_is_away_and_a_channel_that_is_not_served_are_waited_for(world, run, error):
    def fails(*_):
        raise error

    world.performer.prepare = fails
    with pytest.raises(ApplicationError):
        attempted(world, run, world.row(run).step, 1_000)
    assert world.row(run).status == "active"
