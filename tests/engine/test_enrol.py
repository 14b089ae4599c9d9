"""Who enters, who does not and why: triggers, filter, re-entry, keys, caps and the control group."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from engine.enrolment import unmet
from engine.enrolment.enrol import MAX_HOPS
from engine.enrolment.routing import route
from models import Refusal, Run
from storage import tally
from storage.events import append_event
from tests.engine.conftest import build

WAIT_AND_END = {
    "spec": 1,
    "key": "small",
    "name": "Small",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "wait",
    "nodes": {"wait": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "wait", "to": "end"}],
}


def with_entry(**entry):
    return {**WAIT_AND_END, "entry": {**WAIT_AND_END["entry"], **entry}}


def refusals(world, contact):
    with world.db.read() as session:
        return list(session.scalars(select(Refusal.reason).where(Refusal.contact_id == contact).order_by(Refusal.id)))


def details(world, contact):
    with world.db.read() as session:
        asked = select(Refusal.detail).where(Refusal.contact_id == contact, Refusal.reason == "condition")
        return list(session.scalars(asked.order_by(Refusal.id)))


def test_the_filter_refuses_with_its_reasons(world):
    world.publish(with_entry(filter={"combinator": "and", "rules": [{"field": "locale", "operator": "=", "value": "de"}]}))
    english, german = world.contact(locale="en"), world.contact(locale="de")
    assert not world.happens(english, "Signed Up")
    assert world.happens(german, "Signed Up").starts
    with world.db.read() as session:
        refusal = session.scalars(select(Refusal).where(Refusal.contact_id == english)).one()
    assert refusal.reason == "filter"
    assert refusal.detail["rule"][0]["actual"] == "en"


def test_a_rule_on_the_trigger_decides_too(world):
    where = {"combinator": "and", "rules": [{"field": "total", "operator": ">", "value": 100}]}
    world.publish(with_entry(triggers=[{"type": "event", "event": "Order Completed", "where": where}]))
    contact = world.contact()
    assert not world.happens(contact, "Order Completed", {"total": 99})
    assert world.happens(contact, "Order Completed", {"total": 101}).starts


def test_who_is_kept_out_by_the_trigger_s_own_condition_is_counted_and_kept_with_the_value(world):
    where = {"combinator": "and", "rules": [{"field": "order.total", "operator": ">", "value": 100}]}
    journey = world.publish(with_entry(triggers=[{"type": "event", "event": "Order Completed", "where": where}]))
    contact = world.contact()
    world.happens(contact, "Order Completed", {"order": {"total": 99}})
    world.happens(contact, "Signed Up")
    [found] = details(world, contact)
    assert found["rule"][0]["actual"] == 99
    assert found["rule"][0]["result"] is False
    with world.db.read() as session:
        assert tally.read(session, journey).refused == {"condition": 1}


def test_a_trigger_beside_it_that_lets_in_leaves_no_refusal(world):
    def where(total):
        return {"combinator": "and", "rules": [{"field": "total", "operator": ">", "value": total}]}

    triggers = [{"type": "event", "event": "Order Completed", "where": where(total)} for total in (10, 100)]
    world.publish(with_entry(triggers=triggers))
    contact, other = world.contact(), world.contact()
    assert world.happens(contact, "Order Completed", {"total": 50}).starts
    assert details(world, contact) == []
    world.happens(other, "Order Completed", {"total": 5})
    [found] = details(world, other)
    assert [row["term"]["value"] for row in found["rule"]] == [10, 100]


@pytest.mark.parametrize(
    ("trigger", "event", "properties", "seen"),
    [
        (
            {"type": "attribute", "field": "lifecycle_stage", "to": "sql", "any_value": False},
            "Contact Changed",
            {"fields": ["lifecycle_stage"]},
            ["lead"],
        ),
        ({"type": "attribute", "field": "lifecycle_stage", "to": "sql", "any_value": False}, "Contact Changed", {"fields": ["locale"]}, []),
        ({"type": "score", "group": "fit", "at_least": 50}, "Score Changed", {"group": "fit", "before": 10, "after": 40}, [40.0]),
        ({"type": "score", "group": "fit", "at_least": 50}, "Score Changed", {"group": "fit", "before": 60, "after": 70}, []),
        ({"type": "score", "group": "fit", "at_least": 50}, "Score Changed", {"group": "other", "before": 10, "after": 40}, []),
    ],
)
def test_a_field_or_score_that_changed_to_something_else_is_told(world, trigger, event, properties, seen):
    world.publish(with_entry(triggers=[trigger]))
    contact = world.contact(lifecycle_stage="lead")
    assert not world.happens(contact, event, properties)
    assert [row["actual"] for found in details(world, contact) for row in found["rule"]] == seen


def test_a_batch_writes_no_more_than_are_kept_and_only_those_of_a_condition_are_forgotten(sqlite_db, reference):
    world = build(sqlite_db)
    journey, contact = world.publish(reference), world.contact()
    row = {"journey_id": journey, "contact_id": contact, "event_id": None, "detail": {}, "refused_at": world.now}
    with world.db.write() as session:
        session.execute(insert(Refusal), [{**row, "reason": "reentry"}])
        batch = unmet.Unmet()
        live = world.engine.index(session).get(journey)
        batch.by_journey[journey] = (live, [{**row, "reason": "condition"}] * (unmet.KEPT + 5))
        batch.write(session)
        assert tally.read(session, journey).refused == {"condition": unmet.KEPT + 5}
        assert len(session.scalars(select(Refusal.id)).all()) == 1 + unmet.KEPT
        session.execute(insert(Refusal), [{**row, "reason": "condition"}] * 2)
        assert unmet.forget_old(session, journey) is False
        reasons = session.scalars(select(Refusal.reason).order_by(Refusal.id)).all()
    assert reasons == ["reentry"] + ["condition"] * unmet.KEPT


def test_the_last_thousand_kept_out_by_a_condition_are_kept_and_all_are_counted(sqlite_db):
    world = build(sqlite_db)
    where = {"combinator": "and", "rules": [{"field": "total", "operator": ">", "value": 100}]}
    journey = world.publish(with_entry(triggers=[{"type": "event", "event": "Order Completed", "where": where}]))
    contact = world.contact()
    with world.db.write() as session:
        for first in (0, 600):
            totals = [{"total": (first + n) / 20} for n in range(600)]
            events = [
                append_event(session, contact, "track", "Order Completed", one, world.now, source="test", routed=True) for one in totals
            ]
            route(world.engine, session, events, world.now)
        assert unmet.with_many(session) == [journey]
        assert unmet.forget_old(session, journey) is False
        assert unmet.with_many(session) == []
        assert tally.read(session, journey).refused == {"condition": 1_200}
    kept = details(world, contact)
    assert len(kept) == unmet.KEPT
    assert kept[0]["rule"][0]["actual"] == 10.0


@pytest.mark.parametrize(
    ("reentry", "inside", "after_exit", "after_a_week"),
    [
        ({"policy": "never"}, "already_entered", "already_entered", "already_entered"),
        ({"policy": "after_exit"}, "still_inside", None, None),
        ({"policy": "after_window", "window": "P3D"}, "still_inside", "too_soon", None),
    ],
)
def test_reentry(world, reentry, inside, after_exit, after_a_week):
    world.publish(with_entry(reentry=reentry))
    contact = world.contact()

    def enters() -> str | None:
        before = len(refusals(world, contact))
        wakeups = world.happens(contact, "Signed Up")
        for run in wakeups.starts:
            world.walk(run)
        return (refusals(world, contact)[before:] or [None])[0]

    run = world.run(world.happens(contact, "Signed Up"))
    assert enters() == inside
    world.walk(run)
    assert enters() == after_exit
    world.later(days=7)
    assert enters() == after_a_week


def test_one_run_per_key_and_any_number_in_parallel(world):
    world.publish(with_entry(reentry={"policy": "per_key", "key": "cart_id"}, triggers=[{"type": "event", "event": "Product Added"}]))
    contact = world.contact()
    assert world.happens(contact, "Product Added", {"cart_id": "one"}).starts
    assert world.happens(contact, "Product Added", {"cart_id": "two"}).starts
    assert not world.happens(contact, "Product Added", {"cart_id": "one"})
    assert not world.happens(contact, "Product Added", {})
    assert refusals(world, contact) == ["key_seen", "no_key"]


def test_an_exit_with_a_key_ends_only_its_run(world):
    document = with_entry(reentry={"policy": "per_key", "key": "cart_id"}, triggers=[{"type": "event", "event": "Product Added"}])
    world.publish({**document, "exit_when": [{"event": "Order Completed", "match_key": "cart_id"}]})
    contact = world.contact()
    one = world.run(world.happens(contact, "Product Added", {"cart_id": "one"}))
    two = world.run(world.happens(contact, "Product Added", {"cart_id": "two"}))
    world.happens(contact, "Order Completed", {"cart_id": "two"})
    assert world.step(one).instruction["op"] == "wait"
    assert world.step(two).instruction["reason"] == "exit"


def test_the_cap_counts_a_moving_window(world):
    world.publish(with_entry(cap={"count": 2, "per": "P1D"}))
    assert [bool(world.happens(world.contact(), "Signed Up")) for _ in range(3)] == [True, True, False]
    world.later(days=1, seconds=1)
    assert world.happens(world.contact(), "Signed Up")


def test_held_out_contacts_never_move_but_count_for_the_goal(world):
    world.publish({**with_entry(holdout_percent=50), "goal": {"event": "Order Completed", "value": "total"}})
    contacts = [world.contact() for _ in range(40)]
    held_out = [contact for contact in contacts if not world.happens(contact, "Signed Up")]
    assert 8 <= len(held_out) <= 32
    world.happens(held_out[0], "Order Completed", {"total": 20})
    with world.db.read() as session:
        run = session.scalars(select(Run).where(Run.contact_id == held_out[0])).one()
    assert (run.status, run.goal_value) == ("held_out", 20.0)


def test_the_goal_counts_once_and_only_within_its_window(world):
    world.publish({**WAIT_AND_END, "goal": {"event": "Order Completed", "value": "total", "window": "P2D"}})
    buyer, late = world.contact(), world.contact()
    run, other = world.run(world.happens(buyer, "Signed Up")), world.run(world.happens(late, "Signed Up"))
    world.later(hours=30)
    world.step(run)
    world.happens(buyer, "Order Completed", {"total": 5})
    world.happens(buyer, "Order Completed", {"total": 7})
    world.later(days=2)
    world.happens(late, "Order Completed", {"total": 9})
    assert (world.row(run).goal_value, world.row(other).goal_value) == (5.0, None)


def test_a_score_that_rises_past_the_threshold_enters(world):
    from crm.people.scores import change_score
    from engine.enrolment.routing import route

    world.publish(with_entry(triggers=[{"type": "score", "group": "fit", "at_least": 50}]))
    contact = world.contact()

    def score(points):
        with world.db.write() as session:
            event = change_score(session, contact, "fit", points, False, "test", world.now)
            return route(world.engine, session, [event], world.now)

    assert not score(49)
    assert score(1).starts
    assert not score(30)


def test_a_changed_field_enters(world):
    from crm.people.profile import update_fields
    from engine.enrolment.routing import route

    world.publish(with_entry(triggers=[{"type": "attribute", "field": "lifecycle_stage", "any_value": False, "to": "lead"}]))
    contact = world.contact()
    for stage, enters in (("subscriber", False), ("lead", True)):
        with world.db.write() as session:
            event = update_fields(session, contact, {"lifecycle_stage": stage}, world.now, "test")
            assert bool(route(world.engine, session, [event], world.now)) is enters


def test_an_event_that_too_many_journeys_led_to_starts_nothing(world):
    world.publish(WAIT_AND_END)
    assert world.happens(world.contact(), "Signed Up", hops=MAX_HOPS)
    assert not world.happens(world.contact(), "Signed Up", hops=MAX_HOPS + 1)


def test_what_a_journey_sets_off_counts_its_hops(world):
    first = {
        "key": "first",
        "start": "tag",
        "nodes": {"tag": {"kind": "update_contact", "set": {"lifecycle_stage": "lead"}}, "end": {"kind": "exit"}},
    }
    world.publish({**WAIT_AND_END, **first, "edges": [{"from": "tag", "to": "end"}]})
    world.publish({**with_entry(triggers=[{"type": "attribute", "field": "lifecycle_stage"}]), "key": "second"})
    wakeups = world.happens(world.contact(), "Signed Up", hops=3)
    assert [world.row(run).hops for run in wakeups.starts] == [4]


def test_backfilled_events_wake_nobody(world):
    world.publish(WAIT_AND_END)
    assert not world.happens(world.contact(), "Signed Up", backfill=True)


def test_the_same_event_enters_once_however_often_it_is_routed(world):
    from engine.enrolment.routing import route
    from models import Event

    world.publish(with_entry(reentry={"policy": "after_exit"}))
    contact = world.contact()
    world.walk(world.run(world.happens(contact, "Signed Up")))
    world.later(days=3)
    with world.db.write() as session:
        event = session.scalars(select(Event).where(Event.name == "Signed Up")).one()
        assert not route(world.engine, session, [event], world.now)
    assert refusals(world, contact) == ["same_trigger"]


def test_a_run_in_the_future_starts_nothing_twice_after_a_wait(world):
    world.publish(with_entry(reentry={"policy": "after_window", "window": "PT1H"}))
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.walk(run, until=world.now + timedelta(hours=2))
    assert not world.happens(contact, "Signed Up")
    assert refusals(world, contact) == ["still_inside"]
