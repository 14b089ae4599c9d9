"""Versions of a custom activity side by side: a run is served by the version it is pinned to, with that version's form and outlets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select, update
from temporalio.testing import WorkflowEnvironment

from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.ledger import messages
from commands.servers import temporal_binary
from engine.engine import Engine
from engine.runs.rows import runs
from engine.temporal.client import Temporal
from engine.temporal.failures import BARE
from engine.temporal.wakeups import Wakeups
from engine.versions import migrate
from journeys.calls import activity_of
from journeys.custom import CustomActivity, Result, activity
from journeys.errors import Conflict, Misconfigured
from journeys.nodes import Palette
from settings import Settings
from tests.engine.test_workflow import SKIPPING, finish
from worker import build_workers, custom_performers, refuse_unknown_behaviours


class Seat(BaseModel):
    row: int


class Place(BaseModel):
    hall: str
    """Not asked for by the first version."""


def versions(told: Callable[[int, BaseModel], None] = lambda version, given: None) -> tuple[CustomActivity, CustomActivity]:
    """A reservation as it began, and as it became: another form, other ways out, another time limit."""

    @activity(name="reserve", title="Reserve", outlets=("reserved", "full"), timeout=timedelta(seconds=7))
    def first(ctx, input: Seat) -> str:
        told(1, input)
        return "reserved"

    @activity(name="reserve", title="Reserve", version=2, outlets=("waiting_list", "reserved"), timeout=timedelta(seconds=40))
    def second(ctx, input: Place) -> Result:
        told(2, input)
        return Result("waiting_list", {"hall": input.hall})

    return first, second


def document(version: int) -> dict[str, Any]:
    """A day of waiting, the reservation, and an end of its own for each way out."""
    given, outlets = [({"row": 3}, ("reserved", "full")), ({"hall": "north"}, ("waiting_list", "reserved"))][version - 1]
    return {
        "spec": 1,
        "key": "concert",
        "name": "Concert",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "day",
        "nodes": {
            "day": {"kind": "wait", "duration": "P1D"},
            "seat": {"kind": "custom.reserve", "input": given},
            **{outlet: {"kind": "exit", "reason": outlet} for outlet in outlets},
        },
        "edges": [{"from": "day", "to": "seat"}, *({"from": "seat", "outlet": outlet, "to": outlet} for outlet in outlets)],
    }


def know(world, *customs: CustomActivity) -> None:
    """The process is started again with these activities."""
    palette = Palette.built_in().with_kinds(*(custom.node for custom in customs))
    timeouts = {custom.channel: custom.timeout.total_seconds() for custom in customs}
    world.engine = Engine(world.db, world.engine.clock, palette, world.engine.address_keys, effect_timeouts=timeouts)
    world.effects = Effects(world.engine, custom_performers(customs), Breakers(world.db))


def enter(world) -> str:
    run: str = world.run(world.happens(world.contact(), "Signed Up"))
    return run


@pytest.fixture
def calls() -> list[tuple[int, dict[str, Any]]]:
    """(version of the function, its input), in the order of the calls."""
    return []


@pytest.fixture
def both(calls) -> tuple[CustomActivity, CustomActivity]:
    return versions(lambda version, given: calls.append((version, given.model_dump())))


@pytest.fixture
def pinned(world, both) -> tuple[str, str]:
    """A run that is pinned to the first version and one that is pinned to the second, both on the day before."""
    know(world, both[0])
    world.publish(document(1))
    old = enter(world)
    know(world, *both)
    world.publish(document(2))
    return old, enter(world)


def test_each_run_is_served_by_the_version_it_is_pinned_to(world, pinned, calls) -> None:
    assert [world.walk(run)["reason"] for run in pinned] == ["reserved", "waiting_list"]
    assert calls == [(1, {"row": 3}), (2, {"hall": "north"})]


def test_each_version_has_its_own_time_limit_and_activity(world, pinned) -> None:
    effects = [world.row(run).instruction["then"] for run in pinned]
    assert [effect["activity"] for effect in effects] == ["effect:custom:reserve@1", "effect:custom:reserve@2"]
    assert [effect["timeout_seconds"] for effect in effects] == [7, 40]


def test_a_call_planned_before_channels_had_versions_goes_to_the_version_of_its_run(world, pinned, calls) -> None:
    for run in pinned:
        world.walk(run, until=world.now)
    world.later(days=1)
    for run in pinned:
        world.step(run)
        unversion(world, run)
        assert world.perform(run, activity=activity_of("custom:reserve")).instruction["op"] == "end"
    assert [version for version, _ in calls] == [1, 2]
    with world.db.read() as session:
        kept = session.execute(select(messages.c.channel, messages.c.status).order_by(messages.c.channel)).all()
    assert [tuple(row) for row in kept] == [("custom:reserve@1", "sent"), ("custom:reserve@2", "sent")]


def unversion(world, run: str) -> None:
    """The row as it was written before: the channel has the activity's bare name."""
    row = world.row(run)
    state = {**row.state, "blocked": {**row.state["blocked"], "call": {**row.state["blocked"]["call"], "channel": "custom:reserve"}}}
    with world.db.write() as session:
        session.execute(update(runs).where(runs.c.id == run).values(state=state))


def test_an_activity_of_another_version_calls_nothing(world, pinned, calls) -> None:
    old, _ = pinned
    world.later(days=1)
    world.step(old)
    assert world.perform(old, activity=activity_of("custom:reserve@2")).instruction == world.row(old).instruction
    assert calls == []


def test_a_run_that_is_moved_is_served_by_the_version_it_is_moved_to(world, pinned, calls) -> None:
    old, _ = pinned
    with world.db.write() as session:
        journey = world.row(old).journey_id
        migration = migrate.start(world.engine, session, journey, 1, 2, {}, "test", world.now).id
        migrate.move_chunk(world.engine, session, migration, world.now)
    assert world.walk(old)["reason"] == "waiting_list"
    assert calls == [(2, {"hall": "north"})]


def test_a_worker_without_the_old_version_does_not_start_while_runs_need_it(world, pinned, both) -> None:
    old, new = pinned
    know(world, both[1])
    with pytest.raises(Misconfigured, match=r"custom\.reserve@1"):
        refuse_unknown_behaviours(world.engine)
    know(world, *both)
    world.walk(old)
    know(world, both[1])
    refuse_unknown_behaviours(world.engine)
    assert world.walk(new)["reason"] == "waiting_list"


def test_a_version_is_published_once_every_live_process_has_it(world, both) -> None:
    from engine.presence import Presence

    know(world, both[0])
    world.publish(document(1))
    behind = Presence(world.engine, "worker")
    behind.beat()
    know(world, *both)
    with pytest.raises(Conflict, match=r"worker lacks the steps custom\.reserve@2"):
        world.publish(document(2))
    behind.leave()
    world.publish(document(2))


def test_the_worker_serves_both_versions_and_the_bare_name(world, both, calls, tmp_path: Path) -> None:
    """On a real server, with the workers as they are composed. The first run's wait foretells its call by the name of old."""
    know(world, both[0])
    world.publish(document(1))
    old = world.happens(world.contact(), "Signed Up")
    know(world, *both)
    world.publish(document(2))
    new = world.happens(world.contact(), "Signed Up")
    for start in old.starts.values():
        start.instruction["then"]["activity"] = activity_of("custom:reserve")
    assert asyncio.run(served(world, Settings(home=tmp_path, database_url="sqlite:///unused.db"), old, new)) == ["reserved", "waiting_list"]
    assert sorted(version for version, _ in calls) == [1, 2]


async def served(world, settings: Settings, *wakeups: Wakeups) -> list[str]:
    """Why the runs ended, whose workflows these start."""
    start_server = WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(temporal_binary()), dev_server_extra_args=SKIPPING, dev_server_log_level="error", data_converter=BARE
    )
    async with await start_server as env, AsyncExitStack() as stack:
        temporal = Temporal(env.client)
        for worker in build_workers(settings, temporal, world.effects, stack):
            await stack.enter_async_context(worker)
        for each in wakeups:
            await temporal.wake(each)
        return [(await finish(env, world.run(each)))[0] for each in wakeups]
