"""Moving waiting contacts to another version: preview, map, time served, rollback."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from engine.versions import migrate
from journeys.errors import Conflict, Invalid
from models import Migration
from reports.behind import Asked, people
from storage import tally

OLD = {
    "spec": 1,
    "key": "moving",
    "name": "Moving",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "three_days",
    "nodes": {"three_days": {"kind": "wait", "duration": "P3D"}, "gone": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "three_days", "to": "gone"}, {"from": "gone", "to": "end"}],
}
NEW = {
    **OLD,
    "start": "two_days",
    "nodes": {"two_days": {"kind": "wait", "duration": "P2D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "two_days", "to": "end"}],
}
MAP = {"three_days": "two_days"}


@pytest.fixture
def moving(world):
    """Three contacts wait at `three_days`, one at `gone`; then version 2 is published."""
    journey = world.publish(OLD)
    ahead = world.run(world.happens(world.contact(), "Signed Up"))
    world.walk(ahead, until=world.now + timedelta(days=3))
    waiting = [world.run(world.happens(world.contact(), "Signed Up")) for _ in range(3)]
    world.publish(NEW)
    return journey, waiting, ahead


def start(world, journey, node_map):
    with world.db.write() as session:
        return migrate.start(world.engine, session, journey, 1, 2, node_map, "test", world.now).id


def move(world, migration, chunk=100):
    with world.db.write() as session:
        return migrate.move_chunk(world.engine, session, migration, world.now, chunk)


def test_those_inside_stay_on_their_version(world, moving):
    _, waiting, _ = moving
    assert {world.row(run).version_number for run in waiting} == {1}
    world.later(days=3)
    assert world.step(waiting[0]).instruction["op"] == "wait"
    assert world.row(waiting[0]).node == "gone"


def test_the_preview_counts_and_names_who_has_no_target(world, moving):
    journey, _, _ = moving
    with world.db.read() as session:
        preview = migrate.preview(world.engine, session, journey, 1, 2, MAP)
    assert preview.moves == [{"from": "three_days", "to": "two_days", "runs": 3}]
    assert preview.without_target == [{"from": "gone", "runs": 1}]
    assert preview.open_runs == 4


def test_time_served_is_kept(world, moving):
    journey, waiting, ahead = moving
    world.later(days=1)
    wakeups, done = move(world, start(world, journey, MAP))
    assert done
    assert wakeups.runs == set(waiting)
    run = waiting[0]
    old_number = world.row(run).step - 1
    assert world.step(run, old_number).instruction["until"] == world.now.isoformat(), "the wake-up finds the new instruction"
    world.step(run)
    row = world.row(run)
    assert (row.version_number, row.node) == (2, "two_days")
    assert row.due_at - row.started_at == timedelta(days=2)
    assert world.row(ahead).version_number == 1


def test_a_move_counts_nobody_twice(world):
    """Whoever stands where a new version takes over has entered the step once; whoever is put elsewhere enters there."""
    journey = world.publish(OLD)
    stays = world.run(world.happens(world.contact(), "Signed Up"))
    world.publish({**OLD, "nodes": {**OLD["nodes"], "three_days": {"kind": "wait", "duration": "P2D"}}})
    move(world, start(world, journey, {}))
    world.step(stays)
    with world.db.read() as session:
        whole, moved = tally.read(session, journey), tally.read(session, journey, 2)
        listed = {what: people(session, Asked(journey, what, "three_days"))[0] for what in ("entered", "placed")}
    assert (whole.runs, whole.nodes["three_days"].entered, whole.nodes["three_days"].waiting) == (1, 1, 1)
    assert (moved.nodes["three_days"].entered, moved.nodes["three_days"].placed) == (0, 1)
    assert [[one.run_id for one in found] for found in listed.values()] == [[stays], [stays]]


def test_whoever_is_put_to_another_step_entered_it(world, moving):
    journey, waiting, _ = moving
    move(world, start(world, journey, MAP))
    for run in waiting:
        world.step(run)
    with world.db.read() as session:
        nodes = tally.read(session, journey).nodes
    assert (nodes["three_days"].entered, nodes["two_days"].entered, nodes["two_days"].placed) == (4, 3, 0)


def test_it_goes_on_after_a_crash_in_chunks(world, moving):
    journey, waiting, _ = moving
    migration = start(world, journey, MAP)
    assert move(world, migration, chunk=2)[1] is False
    assert move(world, migration, chunk=2)[1] is False
    assert move(world, migration, chunk=2)[1] is True
    assert [world.row(run).version_number for run in waiting] == [2, 2, 2]


def begin_back(world, migration):
    with world.db.write() as session:
        migrate.begin_rollback(session, migration, "test")


def back(world, migration, chunk=100):
    with world.db.write() as session:
        return migrate.back_chunk(world.engine, session, migration, world.now, chunk)


def look(world, migration):
    """(state, progress, runs that stayed)"""
    with world.db.read() as session:
        row = session.get_one(Migration, migration)
        return row.state, migrate.progress(session, row), migrate.stayed(session, migration)


def test_a_rollback_puts_back_whoever_has_not_moved_and_lists_the_others(world, moving):
    journey, waiting, _ = moving
    world.later(days=1)
    before = {run: world.row(run).due_at for run in waiting}
    migration = start(world, journey, MAP)
    move(world, migration)
    assert world.walk(waiting[0])["reason"] == "completed"
    begin_back(world, migration)
    wakeups, done = back(world, migration)
    assert done
    assert wakeups.runs == set(waiting[1:])
    assert look(world, migration) == ("rolled_back", migrate.Progress(3, 3, put_back=2, stayed=1), [waiting[0]])
    run = waiting[1]
    world.step(run)
    row = world.row(run)
    assert (row.version_number, row.node, row.due_at) == (1, "three_days", before[run])
    ended = world.walk(run)
    assert ended["reason"] == "completed"


def test_the_wakeup_after_a_move_is_no_move(world, moving):
    """A living worker answers every wake-up within seconds: a rollback must find the runs that only looked about."""
    journey, waiting, _ = moving
    world.later(days=1)
    before = {run: world.row(run).due_at for run in waiting}
    migration = start(world, journey, MAP)
    move(world, migration)
    for run in waiting:
        world.step(run)
        assert world.row(run).node == "two_days"
    begin_back(world, migration)
    assert back(world, migration)[0].runs == set(waiting)
    for run in waiting:
        world.step(run)
        row = world.row(run)
        assert (row.version_number, row.node, row.due_at) == (1, "three_days", before[run])
    assert look(world, migration)[2] == []


def test_a_merge_after_a_move_is_no_move_of_the_run(world, moving):
    """The merge and its undoing write lines into the trail; the run stands where the migration put it."""
    journey, [run, parted, _], _ = moving
    migration = start(world, journey, MAP)
    move(world, migration)
    for one in (run, parted):
        world.step(one)
        winner, loser = world.contact(), world.row(one).contact_id
        with world.db.write() as session:
            merge(session, winner, loser, world.now)
    with world.db.write() as session:
        unmerge(session, newest(session, winner).id, "test", world.now)
    for one in (run, parted):
        world.step(one)
    begin_back(world, migration)
    back(world, migration)
    assert look(world, migration)[2] == []


def die_in_the_middle(world, migration):
    """A chunk whose process dies before the commit."""
    with world.db.write() as session:
        migrate.back_chunk(world.engine, session, migration, world.now, 1)
        raise RuntimeError("dead")


def test_a_rollback_goes_on_after_a_crash_in_the_middle(world, moving):
    journey, waiting, _ = moving
    migration = start(world, journey, MAP)
    move(world, migration)
    begin_back(world, migration)
    assert back(world, migration, chunk=1)[1] is False
    with pytest.raises(RuntimeError):
        die_in_the_middle(world, migration)
    assert [world.row(run).version_number for run in waiting] == [1, 2, 2]
    assert look(world, migration)[:2] == ("rolling_back", migrate.Progress(1, 3, put_back=1))
    with world.db.write() as session:
        assert migrate.carry_on(world.engine, session, migration, world.now)[1] is True
    assert [world.row(run).version_number for run in waiting] == [1, 1, 1]
    assert look(world, migration) == ("rolled_back", migrate.Progress(3, 3, put_back=3), [])
    assert [world.row(run).step for run in waiting] == [3, 3, 3], "each was put back once"


LISTENING = {
    **OLD,
    "key": "listening",
    "start": "bought",
    "nodes": {
        "bought": {"kind": "wait_for", "branches": [{"name": "yes", "event": "Order Completed"}], "timeout": "P9D"},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "bought", "outlet": "yes", "to": "end"}, {"from": "bought", "outlet": "timed_out", "to": "end"}],
}
PATIENT = {
    **LISTENING,
    "start": "wait",
    "nodes": {"wait": {"kind": "wait", "duration": "P30D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "wait", "to": "end"}],
}


def test_whoever_is_put_back_listens_again_at_once(world):
    journey, person = world.publish(LISTENING), world.contact()
    run = world.run(world.happens(person, "Signed Up"))
    world.publish(PATIENT)
    migration = start(world, journey, {"bought": "wait"})
    move(world, migration)
    world.step(run)
    begin_back(world, migration)
    back(world, migration)
    assert world.happens(person, "Order Completed").runs == {run}
    assert world.step(run).instruction["op"] == "end"


def test_one_rollback_at_a_time_and_only_once(world, moving):
    journey, _, _ = moving
    migration = start(world, journey, MAP)
    with pytest.raises(Conflict):
        begin_back(world, migration)
    move(world, migration)
    begin_back(world, migration)
    with pytest.raises(Conflict):
        start(world, journey, MAP)
    back(world, migration)
    with pytest.raises(Conflict):
        begin_back(world, migration)


def test_a_node_can_be_told_to_stay(world, moving):
    journey, waiting, _ = moving
    with world.db.read() as session:
        preview = migrate.preview(world.engine, session, journey, 1, 2, {"three_days": migrate.STAY, "gone": "two_days"})
    assert preview.moves == [{"from": "gone", "to": "two_days", "runs": 1}]
    assert preview.without_target == [{"from": "three_days", "runs": 3}]
    assert move(world, start(world, journey, {"three_days": migrate.STAY}))[1]
    assert {world.row(run).version_number for run in waiting} == {1}


def test_a_version_does_not_move_onto_itself(world, moving):
    journey, _, _ = moving
    with world.db.read() as session, pytest.raises(Invalid):
        migrate.preview(world.engine, session, journey, 1, 1, {})


def test_a_call_in_flight_is_not_moved(world, reference):
    journey = world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.publish({**reference, "name": "Renamed"})
    move(world, start(world, journey, {}))
    assert world.row(run).version_number == 1
    world.perform(run)
    assert world.performer.received == [f"{run}:hello:1"]


def test_a_wrong_map_is_refused_with_every_name(world, moving):
    journey, _, _ = moving
    with world.db.read() as session, pytest.raises(Invalid) as raised:
        migrate.preview(world.engine, session, journey, 1, 2, {"nowhere": "two_days", "three_days": "nothing"})
    assert [issue.values["node"] for issue in raised.value.issues] == ["nowhere", "nothing"]


def test_two_migrations_of_one_journey_do_not_run_at_once(world, moving):
    journey, _, _ = moving
    start(world, journey, MAP)
    with pytest.raises(Conflict):
        start(world, journey, MAP)
