"""Between events and runs: inboxes, waits, deadlines, topics."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from engine.enrolment.routing import route
from models import Event, Inbox, Subscription

LISTENING = {
    "spec": 1,
    "key": "listening",
    "name": "Listening",
    "entry": {"triggers": [{"type": "event", "event": "Checkout Started"}], "reentry": {"policy": "after_exit"}},
    "start": "listen",
    "nodes": {
        "listen": {
            "kind": "wait_for",
            "branches": [
                {
                    "name": "paid",
                    "event": "Order Completed",
                    "where": {"combinator": "and", "rules": [{"field": "total", "operator": ">", "value": 10}]},
                },
                {"name": "lead", "rule": {"combinator": "and", "rules": [{"field": "lifecycle_stage", "operator": "=", "value": "lead"}]}},
            ],
            "timeout": "P1D",
        },
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "listen", "outlet": outlet, "to": "end"} for outlet in ("paid", "lead", "timed_out")],
}


@pytest.fixture
def contact(world):
    world.publish(LISTENING)
    return world.contact()


@pytest.fixture
def run(world, contact):
    return world.run(world.happens(contact, "Checkout Started"))


def left(world, run):
    return [outlet for node, what, outlet in world.trail(run) if what == "left"]


def test_the_event_that_is_waited_for_wins(world, contact, run):
    assert world.happens(contact, "Order Completed", {"total": 20}).runs == {run}
    assert world.step(run).instruction["op"] == "end"
    assert left(world, run) == ["paid"]


def test_an_event_that_does_not_fit_is_read_and_forgotten(world, contact, run):
    world.happens(contact, "Order Completed", {"total": 5})
    waiting = world.row(run)
    assert world.step(run).instruction == waiting.instruction
    with world.db.read() as session:
        assert session.scalars(select(Inbox.consumed)).all() == [True]


def test_a_rule_that_becomes_true_wins(world, contact, run):
    from crm.people.profile import update_fields

    with world.db.write() as session:
        event = update_fields(session, contact, {"lifecycle_stage": "lead"}, world.now, "test")
        assert route(world.engine, session, [event], world.now).runs == {run}
    world.step(run)
    assert left(world, run) == ["lead"]


def test_the_deadline_decides_not_the_wake_up(world, contact, run):
    world.later(hours=23)
    world.happens(contact, "Order Completed", {"total": 20})
    world.later(hours=5)
    world.step(run)
    assert left(world, run) == ["paid"], "it arrived in time, however late the worker looked"


def test_after_the_deadline_it_is_too_late(world, contact, run):
    world.later(hours=25)
    world.happens(contact, "Order Completed", {"total": 20})
    world.step(run)
    assert left(world, run) == ["timed_out"]


def test_the_earliest_of_two_events_wins(world, contact, run):
    world.happens(contact, "Order Completed", {"total": 20, "order_id": "first"})
    world.later(minutes=1)
    world.happens(contact, "Order Completed", {"total": 30, "order_id": "second"})
    world.step(run)
    heard = [detail for node, what, _ in world.trail(run) for detail in [what] if what == "heard"]
    assert heard == ["heard"]
    with world.db.read() as session:
        first = session.scalars(select(Event.id).where(Event.name == "Order Completed").order_by(Event.id)).first()
        from models import Trail

        noted = session.scalars(select(Trail.detail).where(Trail.what == "heard")).one()
    assert noted["event_id"] == first


def test_an_event_of_another_contact_wakes_nobody(world, contact, run):
    assert not world.happens(world.contact(), "Order Completed", {"total": 20})


def test_the_wakeup_may_come_twice_and_for_nothing(world, contact, run):
    before = world.row(run)
    for _ in range(3):
        assert world.step(run).instruction == before.instruction
    assert world.row(run).step == before.step


def test_routing_the_same_event_again_changes_nothing(world, contact, run):
    world.happens(contact, "Order Completed", {"total": 20})
    with world.db.write() as session:
        event = session.scalars(select(Event).where(Event.name == "Order Completed")).one()
        route(world.engine, session, [event], world.now)
        assert session.execute(select(func.count()).select_from(Inbox)).scalar_one() == 1


def test_an_ended_run_leaves_no_subscription(world, contact, run):
    world.later(days=2)
    world.step(run)
    with world.db.read() as session:
        assert session.scalars(select(Subscription)).all() == []


def test_an_event_before_the_wait_was_entered_does_not_count(world):
    document = {**LISTENING, "start": "first", "nodes": {"first": {"kind": "wait", "duration": "PT1H"}, **LISTENING["nodes"]}}
    world.publish({**document, "edges": [*LISTENING["edges"], {"from": "first", "to": "listen"}]})
    contact = world.contact()
    run = world.run(world.happens(contact, "Checkout Started"))
    world.happens(contact, "Order Completed", {"total": 20})
    world.later(hours=1)
    assert world.step(run).instruction["op"] == "wait"
    world.now += timedelta(days=1)
    world.step(run)
    assert left(world, run) == ["next", "timed_out"]


def clicks(**more):
    """A journey that a click starts, keeps waiting, ends or counts as its goal."""
    end = [{"from": "listen", "outlet": outlet, "to": "end"} for outlet in ("clicked", "timed_out")]
    nodes = {
        "listen": {"kind": "wait_for", "branches": [{"name": "clicked", "event": "Message Clicked"}], "timeout": "P1D"},
        "end": {"kind": "exit"},
    }
    return {**LISTENING, "nodes": nodes, "edges": end, **more}


OURS = {"event": "Message Clicked"}
"""In a document: the event that only the server writes."""


def test_only_the_servers_own_event_starts_a_journey_by_its_name(world):
    world.publish(clicks(entry={"triggers": [{"type": "event", **OURS}]}))
    contact = world.contact()
    assert not world.happens(contact, "Message Clicked", type="track").starts
    assert world.happens(contact, "Message Clicked").starts


@pytest.mark.parametrize("more", [{}, {"exit_when": [OURS]}, {"goal": {**OURS, "ends_run": True}}])
def test_only_the_servers_own_event_wakes_and_ends_a_run(world, more):
    world.publish(clicks(**more))
    contact = world.contact()
    run = world.run(world.happens(contact, "Checkout Started"))
    assert not world.happens(contact, "Message Clicked", type="track")
    world.step(run)
    assert (world.row(run).ended_at, world.row(run).goal_at) == (None, None)
    assert world.happens(contact, "Message Clicked").runs == {run}
    world.step(run)
    assert world.row(run).ended_at


def test_only_the_servers_own_event_is_a_goal(world):
    world.publish(clicks(goal=OURS))
    contact = world.contact()
    run = world.run(world.happens(contact, "Checkout Started"))
    world.happens(contact, "Message Clicked", type="track")
    assert world.row(run).goal_at is None
    world.happens(contact, "Message Clicked")
    assert world.row(run).goal_at


def test_what_lay_in_an_inbox_under_a_name_of_ours_is_not_heard(world):
    """As it was put there before types were looked at."""
    world.publish(clicks())
    contact = world.contact()
    run = world.run(world.happens(contact, "Checkout Started"))
    world.happens(contact, "Message Clicked", type="track")
    with world.db.write() as session:
        forged = session.scalars(select(Event.id).where(Event.name == "Message Clicked")).one()
        session.add(Inbox(run_id=run, event_id=forged, arrived_at=world.now))
    assert world.step(run).instruction["op"] == "wait"


def test_what_happened_before_the_trigger_arrived_counts_by_its_type_too(world):
    world.publish(clicks(exit_when=[OURS]))
    contact = world.contact()
    world.happens(contact, "Message Clicked", type="track")
    run = world.run(world.happens(contact, "Checkout Started", occurred_at=world.now - timedelta(minutes=5)))
    assert world.row(run).ended_at is None
    other = world.contact()
    world.happens(other, "Message Clicked")
    assert not world.happens(other, "Checkout Started", occurred_at=world.now - timedelta(minutes=5)).starts


def test_names_are_compared_in_one_spelling(world):
    entry = {"triggers": [{"type": "event", "event": " Cafe\u0301  Opened "}]}
    world.publish({**LISTENING, "entry": entry})
    assert world.happens(world.contact(), "Caf\u00e9\u200b Opened").starts
