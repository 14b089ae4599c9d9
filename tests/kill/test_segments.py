"""Segments are right after any death: workers and the web server are killed while segments fill and events come.

Afterwards membership is what the SQL face of each rule says, nobody has entered twice, no event is lost, and each who entered the segment with the
journey has one run. The seed is printed; PFADWERK_TEST_SEED repeats it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from crm.rules import expression as sql
from crm.segments import members, segments
from engine.jobs.worker import work_through
from engine.runs.rows import runs
from engine.versions import publish
from journeys.rules import parse_rule
from models import Contact, Event, Identity, Job, SegmentMark, SegmentMember, new_id
from storage.sql import table
from tests.forkserver import ForkServer
from tests.kill.installation import Installation, Shop
from tests.kill.test_kill import await_true
from worker import build_engine

events = table(Event)
BUYERS: Mapping[str, Any] = {"event": "Order Completed", "where": {"rules": [{"field": "total", "operator": ">", "value": 0}]}}
"""With the journey; nobody is in it before the first call."""
FILLED: Mapping[str, Mapping[str, Any]] = {
    "everybody": {"field": "created_at", "operator": "notNull"},
    "lately": {"combinator": "or", "rules": [{"event": "Order Completed", "within": "P30D"}, {"event": "Page Viewed", "within": "P90D"}]},
    "not_yet": {"combinator": "and", "rules": [{"segment": "buyers", "member": False}, {"event": "Page Viewed", "did": False}]},
}
"""Made while events come; the second keeps instants, the third asks for another."""


class Busy(Installation):
    workers = ("worker", "second")


@pytest.fixture
def busy(forks: ForkServer, tmp_path: Path, database_url: str, seed: int, contacts: int) -> Iterator[Busy]:
    installation = Busy(forks, tmp_path / "home", database_url, seed)
    try:
        furnish(installation, contacts)
        installation.start()
        yield installation
    finally:
        installation.stop()


def furnish(installation: Installation, contacts: int) -> None:
    """People of whom every second has seen a page, some of them long ago; a live segment that is filled; its journey."""
    now, engine = datetime.now(UTC), build_engine(installation.settings, installation.db, [])
    ids = [new_id() for _ in range(contacts)]
    people = [{"id": id, "attributes": {}, "created_at": now, "updated_at": now, "demo": False, "vouched": True} for id in ids]
    names = [{"kind": "user_id", "value": f"u{number}", "contact_id": id, "created_at": now} for number, id in enumerate(ids)]
    seen = [viewed(id, number, now - timedelta(days=number % 120)) for number, id in enumerate(ids) if number % 2]
    with installation.db.write() as session:
        session.execute(insert(table(Contact)), people)
        session.execute(insert(table(Identity)), names)
        session.execute(insert(events), seen)
    with installation.db.write() as session:
        job = segments.create(session, "Buyers", BUYERS, "test", now, key="buyers").fill_job
    work_through(engine, job or "")
    with installation.db.write() as session:
        created = publish.create_journey(session, WELCOME, "test", now)
        publish.publish(engine, session, created.id, "test", "", now)


def viewed(contact_id: str, number: int, at: datetime) -> dict[str, Any]:
    return {
        "contact_id": contact_id, "type": "page", "name": "Page Viewed", "properties": {}, "context": {}, "source": "test", "message_id": f"v{number}",
        "occurred_at": at, "received_at": at, "hops": 0, "routed": True, "backfill": True,
    }  # fmt: skip


WELCOME: Mapping[str, Any] = {
    "spec": 1,
    "key": "welcome",
    "name": "Welcome",
    "entry": {"triggers": [{"type": "segment_entered", "segment": "buyers"}], "reentry": {"policy": "after_exit"}},
    "start": "short",
    "nodes": {"short": {"kind": "wait", "duration": "PT1S"}, "end": {"kind": "exit"}},
    "edges": [{"from": "short", "to": "end"}],
}


def customers(installation: Installation, count: int, over_seconds: float) -> Shop:
    """Each orders once, some after they looked at a page."""
    shop = Shop(installation.ports["web"], installation.write_key)
    for number in range(count):
        user, order = f"u{number}", {"total": 20, "order_id": f"o{number}"}
        calls = [{"type": "track", "userId": user, "event": "Order Completed", "properties": order, "messageId": f"{user}-order"}]
        if number % 3 == 0:
            calls.insert(0, {"type": "page", "userId": user, "name": "Page Viewed", "messageId": f"{user}-page"})
        shop.plan(time.monotonic() + over_seconds * number / count, calls)
    return shop


def live_through(installation: Installation, kills: int, mean_seconds: float) -> None:
    """Kills by chance; new segments come in between, and one changes its rule while it fills."""
    coming = [*FILLED]
    next_kill = time.monotonic()
    while sum(installation.kills.values()) < kills or coming:
        installation.look_after()
        if time.monotonic() >= next_kill:
            if coming:
                make(installation, coming.pop(0))
            name = installation.random.choice((*installation.workers, "web"))
            if installation.is_up(name):
                installation.kill(name, installation.random.uniform(0, 0.6))
            next_kill = time.monotonic() + installation.random.expovariate(1 / mean_seconds)
        time.sleep(0.02)


def make(installation: Installation, key: str) -> None:
    now = datetime.now(UTC)
    with installation.db.write() as session:
        segments.create(session, key, FILLED[key], "test", now, key=key)
    if key == "lately":
        changed = {**FILLED[key], "rules": FILLED[key]["rules"][:1]}
        for rule in (changed, FILLED[key]):
            with installation.db.write() as session:
                segments.change(session, key, "test", now, rule=rule)


def is_settled(installation: Installation) -> bool:
    marks, jobs = table(SegmentMark), table(Job)
    with installation.db.read() as session:
        waiting = session.scalar(select(func.count()).select_from(marks))
        working = session.scalar(select(func.count()).select_from(jobs).where(jobs.c.state == "running"))
        return not waiting and not working and all(one.state == "live" for one in segments.listed(session))


def verify(installation: Installation, shop: Shop, contacts: int, buyers: int) -> dict[str, int]:
    told = Counter[tuple[str, str, str]]()
    sizes = {}
    with installation.db.read() as session:
        stored = session.scalars(select(events.c.message_id).where(events.c.type != "system", ~events.c.backfill)).all()
        for contact, name, properties in session.execute(
            select(events.c.contact_id, events.c.name, events.c.properties).where(events.c.type == "system")
        ):
            if name in ("Segment Entered", "Segment Left"):
                told[contact, name, properties["segment"]] += 1
        for one in segments.listed(session):
            rows = table(SegmentMember)
            inside = set(session.scalars(select(rows.c.contact_id).where(rows.c.segment_id == one.id)))
            by_rule = set(sql.page(session, parse_rule(one.rule or {}), datetime.now(UTC), limit=contacts + 1))
            assert inside == by_rule, f"{one.key} is what its SQL face says"
            assert members.count(session, segments.id_of(one)) == len(inside), f"the days of {one.key} add up"
            sizes[one.key] = len(inside)
        begun = Counter(session.scalars(select(runs.c.contact_id)))
    assert set(stored) == shop.acknowledged, "no acknowledged event is lost"
    assert len(stored) == len(set(stored)), "none is there twice"
    assert {one: times for one, times in told.items() if times > 1} == {}, "nobody enters or leaves twice"
    assert sum(name == "Segment Entered" and key == "buyers" for _, name, key in told) == buyers, "who enters is told"
    assert begun.total() == len(begun) == buyers == sizes["buyers"], "one run each"
    assert sizes["everybody"] == contacts
    return {"told": told.total(), "kills": installation.kills.total(), **sizes}


def survive(
    installation: Installation, contacts: int, buyers: int, over_seconds: float, kills: int, mean_seconds: float
) -> dict[str, object]:
    began = time.monotonic()
    shop = customers(installation, buyers, over_seconds)
    live_through(installation, kills, mean_seconds)
    try:
        await_true(installation, "all events are acknowledged", lambda: shop.is_done)
    finally:
        shop.give_up()
    await_true(installation, "all segments are filled, and nobody is marked", lambda: is_settled(installation))
    await_true(
        installation, "all runs have ended", lambda: installation.count_runs() == buyers and installation.count_runs(only_open=True) == 0
    )
    seconds = round(time.monotonic() - began)
    return {"database": installation.db.engine.dialect.name, **verify(installation, shop, contacts, buyers), "seconds": seconds}


Say = Callable[[Mapping[str, object]], None]


@pytest.mark.parametrize("contacts", [6_000])
def test_segments_are_right_after_deaths(busy: Busy, contacts: int, seed: int, say: Say) -> None:
    say({"seed": seed, **survive(busy, contacts, 40, over_seconds=6, kills=7, mean_seconds=0.9)})


@pytest.mark.soak
@pytest.mark.parametrize("contacts", [60_000])
def test_segments_are_right_after_many_deaths(busy: Busy, contacts: int, seed: int, say: Say) -> None:
    say({"seed": seed, **survive(busy, contacts, 600, over_seconds=90, kills=40, mean_seconds=2.0)})
