"""Events that arrive close together: what happened after the trigger counts for the run it started, however the two reach us."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from crm.rules.sql_facts import SqlFacts
from engine.enrolment.routing import route
from engine.runs.rows import run_info
from journeys.rules import EventTerm
from models import Run
from storage.events import append_event


@pytest.fixture
def journey(world, reference):
    return world.publish(reference, exit_when=[{"event": "Order Completed"}], goal={"event": "Order Completed", "window": "P7D"})


def arrive(world, contact, *events, together=True):
    """(name, seconds since the story's start) in their order, one transaction or one each, all ten seconds after the start."""
    start, world.now = world.now, world.now + timedelta(seconds=10)
    for part in [events] if together else [[event] for event in events]:
        with world.db.write() as session:
            stored = [
                append_event(session, contact, "track", name, {}, world.now, occurred_at=start + timedelta(seconds=at), routed=True)
                for name, at in part
            ]
            route(world.engine, session, stored, world.now)
    with world.db.read() as session:
        return session.scalars(select(Run).where(Run.contact_id == contact)).one()


@pytest.mark.parametrize("together", [True, False])
def test_an_order_that_arrives_with_its_trigger_exits_and_reaches_the_goal(world, journey, together):
    run = arrive(world, world.contact(), ("Signed Up", 1), ("Order Completed", 2), together=together)
    assert world.perform(run.id).instruction["reason"] == "exit"
    assert world.performer.received == []
    assert world.row(run.id).goal_at is not None


@pytest.mark.parametrize("together", [True, False])
def test_an_order_that_overtakes_its_trigger_exits_and_reaches_the_goal(world, journey, together):
    run = arrive(world, world.contact(), ("Order Completed", 2), ("Signed Up", 1), together=together)
    assert (run.status, run.reason) == ("ended", "exit")
    assert world.row(run.id).goal_at is not None


def test_what_started_a_run_does_not_end_it(world, reference):
    world.publish(reference, exit_when=[{"event": "Signed Up"}])
    run = arrive(world, world.contact(), ("Signed Up", 1))
    assert run.status == "active"


def test_an_order_from_before_the_trigger_that_comes_late_does_not(world, journey):
    run = arrive(world, world.contact(), ("Signed Up", 2), ("Order Completed", 1))
    assert world.perform(run.id).instruction["op"] == "wait"
    assert world.row(run.id).goal_at is None


def test_the_trigger_itself_did_not_happen_since_entry(world, journey):
    run = arrive(world, contact := world.contact(), ("Signed Up", 1), ("Signed Up", 3))
    with world.db.read() as session:
        facts = SqlFacts(session, contact, run_info(world.engine, session, world.row(run.id)), as_of=world.now)
        assert facts.occurrences(EventTerm(event="Signed Up", since_entry=True), world.now).count == 1
