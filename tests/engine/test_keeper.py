"""The keeper: what it finds broken, and that it heals it once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from engine.interpreter.state import Instruction
from engine.keeper import Keeper, recover
from engine.runs.operations import runs
from engine.temporal.wakeups import Wakeups
from engine.versions import publish as publishing
from models import Audit, Lease
from storage.events import append_event
from tests.engine.conftest import StoryClock
from workspace import audit


@dataclass
class Told:
    """A Temporal that only writes down what it is told; runs in `lost` have no workflow."""

    lost: set[str] = field(default_factory=set)
    woken: list[str] = field(default_factory=list)
    started: dict[str, Instruction] = field(default_factory=dict)

    async def wake(self, wakeups: Wakeups) -> int:
        self.woken.extend(sorted(wakeups.runs))
        self.started.update({run: start.instruction for run, start in wakeups.starts.items()})
        return 0

    async def signal(self, run_id: str) -> bool | None:
        if run_id in self.lost:
            return False
        self.woken.append(run_id)
        return True

    async def start(self, run_id: str, journey_key: str, instruction: Instruction) -> bool:
        self.started[run_id] = instruction
        self.lost.discard(run_id)
        return True


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def keeper(world, told):
    """A keeper whose world goes by the world's clock: `at` winds it."""
    return Keeper(world.engine, told, grace=timedelta(seconds=10))


def tick(world, keeper):
    """One round at the world's instant."""
    world.engine.clock = StoryClock(world)
    asyncio.run(keeper.tick())


def test_a_run_without_a_workflow_gets_one_from_its_row(world, reference, keeper, told):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    told.lost = {run}
    world.later(minutes=5)
    tick(world, keeper)
    assert told.started == {run: world.row(run).instruction}


def test_an_overdue_run_is_woken_once_in_a_while(world, reference, keeper, told):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(run)
    world.later(days=1, minutes=1)
    tick(world, keeper)
    tick(world, keeper)
    assert told.woken == [run]


def test_a_run_in_time_is_left_alone(world, reference, keeper, told):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(run)
    world.later(hours=1)
    tick(world, keeper)
    assert (told.woken, told.started) == ([], {})


def test_an_unread_inbox_is_woken_for(world, reference, keeper, told):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.perform(run)
    world.happens(contact, "Order Completed")
    world.later(minutes=1)
    tick(world, keeper)
    assert told.woken == [run]


def test_events_that_the_worker_appended_are_routed_once(world, reference, keeper, told):
    world.publish(reference, entry={"triggers": [{"type": "event", "event": "Message Bounced"}]})
    with world.db.write() as session:
        append_event(session, world_contact := _contact(session, world), "system", "Message Bounced", {}, world.now)
    assert world_contact
    tick(world, keeper)
    tick(world, keeper)
    assert len(told.started) == 1


def _contact(session, world):
    from models import Contact, new_id

    id = new_id()
    session.add(Contact(id=id, created_at=world.now, updated_at=world.now))
    session.flush()
    return id


def test_resuming_a_journey_rings_its_held_runs_in_order(world, reference, keeper, told):
    journey = world.publish(reference)
    held = [world.run(world.happens(world.contact(), "Signed Up")) for _ in range(3)]
    with world.db.write() as session:
        publishing.pause(world.engine, session, journey, "test", world.now)
    for run in held:
        world.perform(run)
    tick(world, keeper)
    assert told.woken == []
    with world.db.write() as session:
        publishing.resume(world.engine, session, journey, "test", world.now)
    tick(world, keeper)
    assert told.woken == held


def test_the_runs_of_a_stopped_journey_end(world, reference, keeper, told):
    journey = world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    with world.db.write() as session:
        publishing.stop(world.engine, session, journey, "test", world.now)
    tick(world, keeper)
    assert world.row(run).status == "ended"
    assert run in told.woken


def test_only_one_keeper_holds_the_lease(world, keeper, told):
    other = Keeper(world.engine, told)
    assert keeper._holds_lease()
    assert not other._holds_lease()
    assert keeper._holds_lease()
    with world.db.write() as session:
        session.execute(update(Lease).values(until=datetime(2020, 1, 1, tzinfo=UTC)))
    assert other._holds_lease()


def test_recover_gives_every_open_run_its_workflow_back(world, reference, told):
    world.publish(reference)
    open_runs = [world.run(world.happens(world.contact(), "Signed Up")) for _ in range(3)]
    ended = world.run(world.happens(world.contact(), "Signed Up"))
    world.walk(ended)
    told.lost = {*open_runs[:2], ended}

    async def everything():
        return [progress async for progress in recover(world.engine, told)]

    assert asyncio.run(everything()) == [(3, 2)]
    assert set(told.started) == set(open_runs[:2])


def test_a_stuck_run_comes_back_waiting_for_its_wakeup(world, reference, told):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    with world.db.write() as session:
        session.execute(update(runs).values(status="stuck"))
    told.lost = {run}

    async def everything():
        return [progress async for progress in recover(world.engine, told)]

    asyncio.run(everything())
    assert told.started == {run: {"op": "wait", "step": 1, "until": None}}


SCHEDULED = {
    "spec": 1,
    "key": "weekly",
    "name": "Weekly",
    "entry": {
        "triggers": [
            {
                "type": "schedule",
                "cron": "0 9 * * 1",
                "rule": {"combinator": "and", "rules": [{"field": "locale", "operator": "=", "value": "de"}]},
            }
        ],
        "reentry": {"policy": "after_exit"},
    },
    "settings": {"timezone": "Europe/Zurich"},
    "start": "end",
    "nodes": {"end": {"kind": "wait", "duration": "P1D"}, "out": {"kind": "exit"}},
    "edges": [{"from": "end", "to": "out"}],
}


def test_a_schedule_enters_everyone_for_whom_its_rule_holds_page_by_page(world, keeper, told):
    world.publish(SCHEDULED)
    germans = [world.contact(locale="de") for _ in range(120)]
    world.contact(locale="en")
    tick(world, keeper)
    assert told.started == {}, "publishing does not make up for the past"
    world.later(days=7)
    tick(world, keeper)
    assert len(told.started) == 100
    tick(world, keeper)
    assert len(told.started) == len(germans)
    tick(world, keeper)
    assert len(told.started) == len(germans), "once an occurrence"


BIRTHDAY = {
    **SCHEDULED,
    "key": "birthday",
    "entry": {"triggers": [{"type": "date", "field": "birthday", "at": "09:00", "yearly": True}], "reentry": {"policy": "after_exit"}},
}


def test_a_birthday_enters_at_nine_o_clock_where_the_contact_lives(world, keeper, told):
    from crm.catalogue import declare_field

    with world.db.write() as session:
        declare_field(session, "birthday", "date", world.now)
    world.publish(BIRTHDAY)
    tokyo = world.contact(timezone="Asia/Tokyo", attributes={"birthday": "1990-03-05"})
    zurich = world.contact(timezone="Europe/Zurich", attributes={"birthday": "1985-03-05"})
    world.contact(timezone="Europe/Zurich", attributes={"birthday": "1985-03-06"})
    tick(world, keeper)
    world.now = datetime(2026, 3, 5, 0, 30, tzinfo=UTC)
    tick(world, keeper)
    entered = [world.row(run).contact_id for run in told.started]
    assert entered == [tokyo]
    world.now = datetime(2026, 3, 5, 8, 30, tzinfo=UTC)
    tick(world, keeper)
    assert {world.row(run).contact_id for run in told.started} == {tokyo, zurich}


def test_the_head_of_the_audit_trail_is_logged(world, keeper, caplog):
    caplog.set_level("INFO", "pfadwerk.audit")
    with world.db.write() as session:
        line = audit.record(session, "m1", "x.y", "s", {})
    tick(world, keeper)
    assert f"audit head {line.id}:{line.digest}" in caplog.text
    with world.db.write() as session:
        session.delete(session.get_one(Audit, line.id))
    tick(world, keeper)
    assert f"was cut or changed: line {line.id}" in caplog.text
