"""Moving waiting contacts to another version: preview, map, time served, rollback."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import migrate
from journeys.errors import Conflict, Invalid

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
    assert wakeups.bells == set(waiting)
    run = waiting[0]
    old_number = world.row(run).step - 1
    assert world.step(run, old_number).instruction["until"] == world.now.isoformat(), "the bell finds the new instruction"
    world.step(run)
    row = world.row(run)
    assert (row.version_number, row.node) == (2, "two_days")
    assert row.due_at - row.started_at == timedelta(days=2)
    assert world.row(ahead).version_number == 1


def test_it_goes_on_after_a_crash_in_chunks(world, moving):
    journey, waiting, _ = moving
    migration = start(world, journey, MAP)
    assert move(world, migration, chunk=2)[1] is False
    assert move(world, migration, chunk=2)[1] is False
    assert move(world, migration, chunk=2)[1] is True
    assert [world.row(run).version_number for run in waiting] == [2, 2, 2]


def test_a_rollback_puts_back_whoever_has_not_moved_and_lists_the_others(world, moving):
    journey, waiting, _ = moving
    world.later(days=1)
    before = {run: world.row(run).due_at for run in waiting}
    migration = start(world, journey, MAP)
    move(world, migration)
    world.step(waiting[0])
    with world.db.write() as session:
        wakeups, stayed = migrate.rollback(world.engine, session, migration, "test", world.now)
    assert stayed == [waiting[0]]
    assert wakeups.bells == set(waiting[1:])
    run = waiting[1]
    world.step(run)
    row = world.row(run)
    assert (row.version_number, row.node, row.due_at) == (1, "three_days", before[run])
    ended = world.walk(run)
    assert ended["reason"] == "completed"


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
