"""What the simulator shows is what the engine does."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import select

from engine.interpreter.simulate import Script, simulate
from journeys.compile import compile_journey
from journeys.nodes import Palette
from journeys.reading import read
from models import Journey, Template, Trail
from tests.journeys.graphs import KNOWN, documents
from workspace.members import add_member, put_rotation

EVENTS = ["Order Completed", "Product Viewed", "Message Opened", "Cart Viewed", "Signed Up"]
happenings = st.lists(st.tuples(st.integers(1, 40 * 24 * 60), st.sampled_from(EVENTS)), max_size=6, unique_by=lambda pair: pair[0])


@pytest.fixture
def stage(world):
    """What the generated documents name: a template, a pool, another journey, and performers for every channel."""
    with world.db.write() as session:
        for key in KNOWN.templates:
            session.merge(Template(key=key, name=key, created_at=world.now, updated_at=world.now))
        for pool in KNOWN.pools:
            put_rotation(session, pool, [add_member(session, "Kim", "kim@example.org", "sales", world.now).id])
        for key in KNOWN.journeys:
            session.add(Journey(key=key, name=key, created_at=world.now, updated_at=world.now))
    for channel in ("sms", "team"):
        world.effects.performers[channel] = world.performer
    webhook = type(world.performer)(outlets={"sent": "ok", "failed": "failed", "skipped": "failed"})
    world.effects.performers["webhook"] = webhook
    return world


numbers = itertools.count(1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents(max_nodes=14), happened=happenings, locale=st.sampled_from(["de", "en", None]))
def test_simulated_path_is_durable_path(stage, document, happened, locale):
    world, number = stage, next(numbers)
    document = {
        **document,
        "key": f"j{number}",
        "entry": {"triggers": [{"type": "event", "event": f"Start {number}"}]},
        "settings": {"message_class": "transactional"},
    }
    program = compile_journey(read(document), Palette.built_in())
    happened = sorted(happened)
    owner = world_owner(world)
    contact = world.contact(locale=locale)
    script = Script(
        contact_id=contact,
        contact={"locale": locale, "created_at": world.now.isoformat(), "email": f"{contact}@example.org"},
        start=world.now,
        events=[{"after": timedelta(minutes=minutes), "name": name} for minutes, name in happened],
        rotations={pool: [owner] for pool in KNOWN.pools},
        until=timedelta(days=200),
    )
    expected = simulate(program, script)
    world.publish(document)
    began = world.now
    wakeups = world.happens(contact, f"Start {number}")
    run = next((run for run, start in wakeups.starts.items() if start.journey_key == document["key"]), None) or only_run(world, contact)
    for minutes, name in happened:
        world.walk(run, until=began + timedelta(minutes=minutes))
        world.now = began + timedelta(minutes=minutes)
        world.happens(contact, name, {"run_id": run, "machine": False} if name.startswith("Message") else {})
        if world.row(run).ended_at is None:
            world.step(run)
    world.walk(run, until=began + timedelta(days=200))
    note(json.dumps([happened, document["nodes"]]))
    note("\n".join(f"{line.at} {line.node} {line.what} {line.outlet}" for line in expected.lines))
    assert path(world, run) == [(line.node, line.what, line.outlet) for line in expected.lines if line.what in ("entered", "left", "ended")]
    assert world.row(run).status in ("active", "ended")


def world_owner(world) -> str:
    from models import Member

    with world.db.read() as session:
        return session.scalars(select(Member.id)).first()


def only_run(world, contact) -> str:
    from models import Run

    with world.db.read() as session:
        return session.scalars(select(Run.id).where(Run.contact_id == contact).order_by(Run.id)).first()


def path(world, run) -> list[tuple[Any, ...]]:
    with world.db.read() as session:
        lines = session.scalars(select(Trail).where(Trail.run_id == run).order_by(Trail.step, Trail.seq)).all()
    return [(line.node, line.what, line.outlet) for line in lines if line.what in ("entered", "left", "ended")]
