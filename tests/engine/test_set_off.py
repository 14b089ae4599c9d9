"""What a step sets off in other journeys: done when its own rows are written, in the same transaction, and never at its expense."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select, text

from engine.clock import Clock
from engine.engine import Engine, NotLoaded
from engine.enrolment.enrol import MAX_HOPS
from engine.enrolment.routing import DELAYED, MOST_BEGUN, route_part
from journeys.custom import activity
from models import Event, Inbox, Journey, Refusal, Run, Unrouted

STARTED = {"triggers": [{"type": "event", "event": "Started"}]}
FROM_ANOTHER = {"triggers": [{"type": "journey"}]}
BY_SCORE = {"triggers": [{"type": "event", "event": "Score Changed"}]}
WAIT = {"kind": "wait", "duration": "P1D"}
POINTS = {"kind": "change_score", "group": "fit", "points": 10}


class Nothing(BaseModel):
    pass


@activity(name="stamp", title="Stamp a card")
def stamp(ctx: Any, input: Nothing) -> None:
    """Stamps."""


def journey(key: str, entry: dict[str, Any], *steps: dict[str, Any], again: bool = True) -> dict[str, Any]:
    """Steps one after the other, and the end."""
    nodes = {**{f"s{n}": step for n, step in enumerate(steps)}, "end": {"kind": "exit"}}
    names = list(nodes)
    edges = [{"from": one, "to": other} for one, other in pairwise(names)]
    reentry = {"policy": "after_exit" if again else "never"}
    return {"spec": 1, "key": key, "name": key, "entry": {**entry, "reentry": reentry}, "start": "s0", "nodes": nodes, "edges": edges}


def start(key: str, **data: Any) -> dict[str, Any]:
    return {"kind": "start_journey", "journey": key, "data": data}


def runs_of(world: Any, contact: str) -> list[tuple[str, str]]:
    """(key of the journey, status) in the order in which they began."""
    with world.db.read() as session:
        found = select(Journey.key, Run.status).join(Run, Run.journey_id == Journey.id).where(Run.contact_id == contact)
        return [tuple(row) for row in session.execute(found.order_by(Run.hops, Journey.key))]


def refused(world: Any, contact: str) -> list[tuple[str, str]]:
    with world.db.read() as session:
        found = select(Journey.key, Refusal.reason).join(Refusal, Refusal.journey_id == Journey.id).where(Refusal.contact_id == contact)
        return [tuple(row) for row in session.execute(found.order_by(Refusal.id))]


def owed(world: Any) -> list[tuple[str, str, str]]:
    with world.db.read() as session:
        rows = session.execute(select(Event.name, Unrouted.part, Unrouted.reason).join(Event, Event.id == Unrouted.event_id))
        return [tuple(row) for row in rows]


def test_a_journey_that_a_step_starts_finds_the_row_of_the_run_that_started_it(world):
    world.publish(journey("second", FROM_ANOTHER, WAIT))
    world.publish(journey("first", STARTED, start("second", plan="gold")))
    contact = world.contact()
    [run] = world.happens(contact, "Started", {"cart": 7}).starts
    assert runs_of(world, contact) == [("first", "ended"), ("second", "active")]
    assert (world.row(run).hops, world.row(run).trigger) == (1, {"cart": 7, "plan": "gold"})


def test_the_step_that_ends_a_run_lets_nobody_into_its_journey_again(world):
    """Until it is over the contact is inside. (To name itself is refused when a journey is published.)"""
    world.publish(journey("loop", {"triggers": [*STARTED["triggers"], *BY_SCORE["triggers"]]}, POINTS))
    contact = world.contact()
    assert not world.happens(contact, "Started").starts
    assert (runs_of(world, contact), refused(world, contact)) == ([("loop", "ended")], [("loop", "still_inside")])
    world.happens(contact, "Started")
    assert runs_of(world, contact) == [("loop", "ended")] * 2, "from outside the contact may come again"


def test_what_a_run_did_lets_nobody_into_its_journey_when_it_is_routed_later_either(world):
    world.publish(journey("loop", {"triggers": [*STARTED["triggers"], *BY_SCORE["triggers"]]}, POINTS))
    contact = world.contact()
    world.happens(contact, "Started")
    with world.db.write() as session:
        event = session.scalars(select(Event).where(Event.name == "Score Changed")).one()
        route_part(world.engine, session, event, f"entry:{session.scalars(select(Journey.id)).one()}", world.now)
    assert refused(world, contact) == [("loop", "still_inside")] * 2


def test_two_journeys_that_start_each_other_without_a_wait_do_so_once(world):
    world.publish(journey("ping", {"triggers": [*STARTED["triggers"], *FROM_ANOTHER["triggers"]]}, WAIT, again=False))
    world.publish(journey("pong", FROM_ANOTHER, start("ping")))
    world.publish(journey("ping", {"triggers": [*STARTED["triggers"], *FROM_ANOTHER["triggers"]]}, start("pong")))
    contact = world.contact()
    world.happens(contact, "Started")
    assert runs_of(world, contact) == [("ping", "ended"), ("pong", "ended")]
    assert refused(world, contact) == [("ping", "still_inside")]


def test_journeys_that_start_each_other_for_ever_come_to_an_end_that_is_shown(world):
    """With a wait between them each may be entered again, so only the count of hops ends it."""
    world.publish(journey("ping", {"triggers": [*STARTED["triggers"], *FROM_ANOTHER["triggers"]]}, WAIT, again=False))
    world.publish(journey("pong", FROM_ANOTHER, WAIT, start("ping")))
    world.publish(journey("ping", {"triggers": [*STARTED["triggers"], *FROM_ANOTHER["triggers"]]}, WAIT, start("pong")))
    contact = world.contact()
    waiting = list(world.happens(contact, "Started").starts)
    while waiting:
        run = waiting.pop()
        world.later(days=1)
        waiting += world.step(run).wakeups.starts
    assert len(runs_of(world, contact)) == MAX_HOPS + 1
    assert refused(world, contact) == [("pong", "too_many_hops")]


def test_journeys_that_all_begin_by_what_the_others_do_begin_so_many_runs_and_no_more(world):
    """Five of them would make 325 in one transaction, and seven 13,700."""
    entry = {"triggers": [*STARTED["triggers"], *BY_SCORE["triggers"]]}
    for number in range(5):
        world.publish(journey(f"scoring-{number}", entry, POINTS))
    contact = world.contact()
    world.happens(contact, "Started")
    assert MOST_BEGUN <= len(runs_of(world, contact)) < MOST_BEGUN + 10
    assert "too_many_hops" in {reason for _, reason in refused(world, contact)}


def test_a_wait_hears_nothing_of_what_came_before_it_in_the_same_step(world):
    branch = {"name": "scored", "event": "Score Changed"}
    document = journey("own", STARTED, POINTS, {"kind": "wait_for", "branches": [branch], "timeout": "P1D"})
    edges = [
        {"from": "s0", "to": "s1"},
        {"from": "s1", "outlet": "scored", "to": "end"},
        {"from": "s1", "outlet": "timed_out", "to": "end"},
    ]
    world.publish({**document, "edges": edges})
    contact = world.contact()
    wakeups = world.happens(contact, "Started")
    assert not wakeups.runs
    with world.db.read() as session:
        assert session.scalars(select(Inbox)).all() == []
    assert world.step(world.run(wakeups)).instruction["op"] == "wait"


def test_a_run_that_an_event_began_hears_of_the_next_one_of_the_same_step(world):
    branch = {"name": "grown", "event": "Score Changed"}
    listener = journey(
        "hear",
        {"triggers": [{"type": "attribute", "field": "lifecycle_stage"}]},
        {"kind": "wait_for", "branches": [branch], "timeout": "P1D"},
    )
    edges = [{"from": "s0", "outlet": outlet, "to": "end"} for outlet in ("grown", "timed_out")]
    world.publish({**listener, "edges": edges})
    world.publish(journey("tell", STARTED, {"kind": "update_contact", "set": {"lifecycle_stage": "lead"}}, POINTS))
    contact = world.contact()
    [run] = world.happens(contact, "Started").starts
    assert world.step(run).instruction["op"] == "end"


def with_missing_step(world: Any) -> Any:
    """A world like this one whose process has a step that the other lacks."""
    return replace(world, engine=Engine(world.db, Clock(), world.engine.palette.with_kinds(stamp.node), (b"k" * 32,)))


def test_a_journey_that_cannot_be_loaded_here_does_not_hold_up_the_run_that_starts_it(world):
    able = with_missing_step(world)
    able.publish(journey("card", FROM_ANOTHER, WAIT, {"kind": "custom.stamp"}))
    world.publish(journey("first", STARTED, start("card", plan="gold"), WAIT))
    contact = world.contact()
    world.happens(contact, "Started", {"cart": 7})
    assert runs_of(world, contact) == [("first", "active")]
    assert owed(world) == [(DELAYED, "start", NotLoaded.code)]
    with world.db.read() as session:
        event = session.scalars(select(Event).where(Event.name == DELAYED)).one()
    with pytest.raises(NotLoaded), world.db.write() as session:
        route_part(world.engine, session, event, "start", world.now)
    for _ in range(2):  # as after a crash between the commit and whatever follows
        with able.db.write() as session:
            route_part(able.engine, session, event, "start", able.now)
    assert runs_of(world, contact) == [("first", "active"), ("card", "active")]
    with world.db.read() as session:
        begun = session.scalars(select(Run).where(Run.hops == 1)).one()
    assert begun.trigger == {"cart": 7, "plan": "gold"}


def test_an_end_of_runs_that_cannot_be_loaded_here_is_an_end_all_the_same(world):
    able = with_missing_step(world)
    able.publish(journey("card", STARTED, WAIT, {"kind": "custom.stamp"}))
    world.publish(journey("ender", {"triggers": [{"type": "event", "event": "Enough"}]}, {"kind": "end_journey", "journey": "card"}))
    contact = world.contact()
    able.happens(contact, "Started")
    world.happens(contact, "Enough")
    assert runs_of(world, contact) == [("card", "ended"), ("ender", "ended")]


@pytest.mark.parametrize(("entry", "step", "waits"), [(FROM_ANOTHER, start("second"), (DELAYED, "start")), (BY_SCORE, POINTS, ("Score Changed", "entry"))])  # fmt: skip
def test_an_error_in_another_journeys_entry_leaves_the_causing_run_where_it_came_to(sqlite_world, entry, step, waits):
    world = sqlite_world
    second = world.publish(journey("second", entry, WAIT))
    world.publish(journey("first", STARTED, WAIT, step, WAIT))
    contact = world.contact()
    run = world.run(world.happens(contact, "Started"))
    with world.db.write() as session:
        session.execute(
            text(f"CREATE TRIGGER full BEFORE INSERT ON run WHEN NEW.journey_id = '{second}' BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    world.later(days=1)
    world.step(run)
    assert (world.row(run).status, world.row(run).node) == ("active", "s2")
    [(name, part, reason)] = owed(world)
    assert (name, part.partition(":")[0]) == waits
    assert "full" not in reason, "the place only"
    with world.db.write() as session:
        session.execute(text("DROP TRIGGER full"))
    with world.db.write() as session:
        event = session.scalars(select(Event).where(Event.name == name)).one()
        [begun] = route_part(world.engine, session, event, part, world.now).starts
    assert world.row(begun).hops == 1
