"""A staging workspace whose clock is turned forward by a month: what it is about moves, and nobody loses what goes by real time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from temporalio.exceptions import ApplicationError

from activities.sending.reconcile import settle
from crm.imports import uploads
from crm.jobs import add_job
from crm.rules.expression import count
from engine import presence
from engine.clock import Clock
from engine.jobs import leases
from engine.jobs.kinds import KINDS
from engine.keeper import Keeper
from engine.presence import Presence
from engine.runs.operations import runs
from journeys.rules import parse_rule
from models import Job, Lease, Upload
from storage.files import Room
from tests.engine.conftest import START, World
from workspace import audit

MONTH = timedelta(days=30)
WAITING = {
    "spec": 1,
    "key": "waiting",
    "name": "Waiting",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P20D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "pause", "to": "end"}],
}


@dataclass
class Staging:
    """`real` is what the clock of the machine shows."""

    world: World
    real: datetime = START

    def turn(self, forward: timedelta = MONTH, factor: float = 1.0) -> None:
        """As somebody does who turns the clock of staging and starts its processes anew."""
        now = self.world.engine.clock.now() + forward
        self.world.engine.clock = Clock(factor, self.real, now, read=lambda: self.real)
        self.world.now = now

    def passes(self, span: timedelta) -> None:
        """Real time goes by."""
        self.real += span
        self.world.now = self.world.engine.clock.now()

    def keeper(self) -> Keeper:
        nobody: Any = None
        return Keeper(self.world.engine, nobody, grace=timedelta(seconds=10))


@pytest.fixture
def staging(sqlite_world: World) -> Staging:
    staging = Staging(sqlite_world)
    staging.turn(timedelta(0))
    return staging


def test_a_wait_and_the_time_in_a_rule_move(staging: Staging) -> None:
    world = staging.world
    world.publish(WAITING)
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    lately = parse_rule({"combinator": "and", "rules": [{"event": "Signed Up", "within": "P7D"}]})
    with world.db.read() as session:
        assert count(session, lately, world.engine.clock.now()) == 1
    assert world.step(run).instruction["op"] == "wait"
    staging.turn()
    with world.db.read() as session:
        assert count(session, lately, world.engine.clock.now()) == 0
    assert run in staging.keeper()._needing_a_wakeup()
    assert world.step(run).instruction["op"] == "end"


def test_a_call_that_is_under_way_is_not_made_again(staging: Staging, reference: dict[str, Any]) -> None:
    """Nor given up: its lease ends when real time says so."""
    world = staging.world
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.performer.failures = [KeyboardInterrupt()]  # type: ignore[list-item]
    with pytest.raises(KeyboardInterrupt):
        world.perform(run)
    staging.turn()
    with pytest.raises(ApplicationError) as raised:
        world.perform(run)
    assert (raised.value.message, world.performer.received) == ("in_flight", [])
    with world.db.write() as session:
        session.execute(update(runs).where(runs.c.id == run).values(step=runs.c.step + 1, state={}))
    settle(world.effects)
    assert [message.status for message in world.messages(run)] == ["claimed"], "the keeper waits for it, too"
    staging.passes(timedelta(minutes=5))
    settle(world.effects)
    assert [message.status for message in world.messages(run)] == ["uncertain"]


def test_one_keeper_stays_the_only_one(staging: Staging) -> None:
    first, second = staging.keeper(), staging.keeper()
    assert first._holds_lease()
    staging.turn()
    assert not second._holds_lease()
    with staging.world.db.read() as session:
        assert session.get_one(Lease, "keeper").until > staging.real
    staging.passes(timedelta(hours=1))
    assert second._holds_lease()


def test_the_patience_of_the_keeper_is_real_time(staging: Staging) -> None:
    """Where an hour passes in a second, what came due five minutes ago came due a moment ago."""
    world = staging.world
    world.publish(WAITING)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    staging.turn(timedelta(days=20, minutes=5), factor=3600.0)
    assert staging.keeper()._needing_a_wakeup() == []
    staging.passes(timedelta(seconds=11))
    assert staging.keeper()._needing_a_wakeup() == [run]


def test_a_job_stays_with_its_worker(staging: Staging) -> None:
    world, kind = staging.world, next(iter(KINDS))
    with world.db.write() as session:
        add_job(session, kind, "x", {}, "test", world.now)
        assert leases.take(session, "one", KINDS, world.engine.clock.real_now(), world.now)
    staging.turn()
    with world.db.write() as session:
        assert leases.take(session, "two", KINDS, world.engine.clock.real_now(), world.now) is None
        assert session.scalars(select(Job.leased_by)).one() == "one"


def test_a_process_is_alive_and_a_file_is_young(staging: Staging) -> None:
    world = staging.world
    Presence(world.engine, "worker").beat()
    with world.db.write() as session:
        uploads.begin_upload(session, "people.csv", 10, "test", world.engine.clock.real_now(), Room(100, 100), 10)
    staging.turn()
    keeper = staging.keeper()
    keeper.forget_old()
    with world.db.read() as session:
        assert presence.has_worker(session, world.engine.clock.real_now())
        assert session.scalars(select(Upload)).one()
    staging.passes(timedelta(days=8))
    keeper.forget_old()
    with world.db.read() as session:
        assert not presence.has_worker(session, world.engine.clock.real_now())
        assert session.scalars(select(Upload)).all() == []


def test_a_file_that_came_whole_is_as_old_as_in_real_time(staging: Staging) -> None:
    world = staging.world
    staging.turn(-MONTH)
    with world.db.write() as session:
        sent = uploads.read_sent("people.csv", b"email\na@example.org\n")
        uploads.take(session, sent, "test", world.now, world.engine.clock.real_now())
    staging.keeper().forget_old()
    with world.db.read() as session:
        assert session.scalars(select(Upload.created_at)).all() == [staging.real]


def test_lines_of_the_audit_trail_tell_real_time(staging: Staging) -> None:
    staging.turn()
    staging.world.publish(WAITING)
    with staging.world.db.read() as session:
        assert {line.at for line in audit.list_lines(session)} == {staging.real}
