"""What a process that died has accepted and not started is started by another within seconds. The clock is a value."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from engine import presence
from engine.presence import BEAT_SECONDS, SILENT_AFTER, Presence
from engine.takeover import PAGE, Takeover
from models import Process
from storage.sql import table
from tests.engine.test_keeper import Told

processes = table(Process)
SECOND = timedelta(seconds=1)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def takeover(world, told):
    return Takeover(world.engine, told)


@pytest.fixture
def accepted(world, reference, told):
    """A run that a web server accepted, whose workflow it did not start."""
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    told.lost = {run}
    return run


def died(world, ago: timedelta) -> datetime:
    """A web server whose last beat was that long ago; returns the present instant."""
    now = datetime.now(UTC)
    Presence(world.engine, "web").beat(now - ago)
    return now


def look(takeover, now):
    asyncio.run(takeover.look(now))


def test_a_run_is_started_in_less_than_fifteen_seconds_whenever_its_server_dies(world, takeover, told, accepted):
    """In the worst case it dies just after a beat; a worker looks just before it counts as silent, and once more a beat later."""
    now = died(world, SILENT_AFTER + SECOND / 1000)
    look(takeover, now - SECOND / 100)
    assert told.started == {}, "it may be alive"
    look(takeover, now)
    assert told.started.keys() == {accepted}
    assert SILENT_AFTER.total_seconds() + BEAT_SECONDS < 15


def test_it_is_done_once_and_again_if_the_process_comes_back_and_dies(world, takeover, told, accepted):
    now = died(world, SILENT_AFTER + SECOND)
    look(takeover, now)
    told.started.clear()
    look(takeover, now)
    assert (told.started, told.woken) == ({}, [])
    with world.db.write() as session:
        session.execute(update(processes).values(seen_at=now))
    look(takeover, now + SILENT_AFTER + SECOND)
    assert told.woken == [accepted], "a run that has its workflow is only woken"


def test_who_dies_while_taking_over_leaves_it_to_the_next(world, takeover, told, accepted, monkeypatch):
    now = died(world, SILENT_AFTER + SECOND)

    async def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(told, "start", dies)
        with pytest.raises(KeyboardInterrupt):
            look(takeover, now)
    look(Takeover(world.engine, told), now)
    assert told.started.keys() == {accepted}


class Away(Told):
    """A Temporal that can be told of one run only, the last."""

    async def start(self, run_id, journey_key, instruction):
        return run_id == max(self.lost) and await super().start(run_id, journey_key, instruction)


def test_what_temporal_did_not_hear_of_is_done_again_and_all_pages_are_gone_through(sqlite_world, reference):
    world, away = sqlite_world, Away()
    world.publish(reference)
    away.lost = {world.run(world.happens(world.contact(), "Signed Up")) for _ in range(PAGE + 1)}
    last = max(away.lost)
    now = died(world, SILENT_AFTER + SECOND)
    look(Takeover(world.engine, away), now)
    assert away.started.keys() == {last}, "the second page is asked for, too"
    again = Told(lost=away.lost)
    look(Takeover(world.engine, again), now)
    assert len(again.started) == PAGE
    assert again.woken == [last]


def test_what_was_begun_long_before_or_has_moved_is_not_asked_for(world, takeover, told, accepted):
    """What it costs follows from what the last seconds brought, however many wait."""
    moved = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(moved)
    later = datetime.now(UTC) + timedelta(minutes=2)
    Presence(world.engine, "web").beat(later - SILENT_AFTER - SECOND)
    look(takeover, later)
    assert (told.started, told.woken) == ({}, [])
    look(takeover, died(world, SILENT_AFTER + SECOND))
    assert (told.started.keys(), told.woken) == ({accepted}, [])


def test_a_wakeup_that_was_not_sent_is_sent(world, takeover, told, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.perform(run)
    world.now = datetime.now(UTC)
    world.happens(contact, "Order Completed")
    look(takeover, died(world, SILENT_AFTER + SECOND))
    assert told.woken == [run]


def test_a_process_is_forgotten_a_minute_after_its_last_beat_and_never_before_it_is_taken_over(world, takeover):
    now = died(world, 5 * presence.GONE_AFTER)
    other = Presence(world.engine, "worker")
    other.beat(now)
    assert len(known(world)) == 2
    look(takeover, now)
    other.beat(now)
    assert len(known(world)) == 1


def test_a_process_that_nobody_takes_over_is_forgotten_after_a_day(world):
    now = died(world, presence.FORGOTTEN_AFTER + SECOND)
    Presence(world.engine, "worker").beat(now)
    assert len(known(world)) == 1


def known(world):
    with world.db.read() as session:
        return list(session.scalars(select(processes.c.id)))
