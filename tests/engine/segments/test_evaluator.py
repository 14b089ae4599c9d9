"""From a change to a journey: the evaluator, a death at each of its commits, and the clock alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crm.rules import expression as sql
from crm.segments import evaluation, members, segments
from engine.engine import Engine
from engine.jobs.worker import do_page, work_through
from engine.segments.evaluator import Evaluator, evaluate, settle
from journeys.errors import Conflict
from journeys.rules import parse_rule
from models import Event, Job, Journey, Run, SegmentMember
from storage import segment_marks
from storage.events import append_event
from tests.engine.conftest import StoryClock
from tests.engine.test_crash_points import Death, Points

BUYERS = {"event": "Order Completed", "within": "P3D"}
LAPSED = {"event": "Order Completed", "did": False, "within": "P90D"}


@pytest.fixture
def world(world: Any) -> Any:
    """The engine goes by the story's clock."""
    old = world.engine
    world.engine = Engine(old.db, StoryClock(world), old.palette, old.address_keys)
    return world


def journey(key: str, kind: str, segment: str, *exits: dict[str, Any]) -> dict[str, Any]:
    """Whoever moves waits for a day."""
    return {
        "spec": 1,
        "key": key,
        "name": key,
        "entry": {"triggers": [{"type": kind, "segment": segment}], "reentry": {"policy": "after_exit"}},
        "exit_when": list(exits),
        "start": "day",
        "nodes": {"day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
        "edges": [{"from": "day", "to": "end"}],
    }


def segment(world: Any, key: str, rule: Any, **more: Any) -> None:
    """Made and filled."""
    with world.db.write() as session:
        row = segments.create(session, key.title(), rule, "test", world.now, key=key, **more)
    if row.fill_job:
        work_through(world.engine, row.fill_job)


def appended(world: Any, contact: str, name: str, **more: Any) -> None:
    """As ingestion stores an event that no run listens for."""
    with world.db.write() as session:
        append_event(session, contact, "track", name, {}, world.now, routed=True, **more)


def told(world: Any) -> list[tuple[str, str, int]]:
    with world.db.read() as session:
        found = select(Event).where(Event.name.in_(["Segment Entered", "Segment Left"])).order_by(Event.id)
        return [(one.name, one.properties["segment"], one.hops) for one in session.scalars(found)]


def begun(world: Any) -> list[str]:
    with world.db.read() as session:
        return list(session.scalars(select(Journey.key).join(Run, Run.journey_id == Journey.id).order_by(Run.started_at, Journey.key)))


def is_in(world: Any, key: str) -> set[str]:
    with world.db.read() as session:
        id = segment_marks.known(session).by_key[key].id
        return set(session.scalars(select(SegmentMember.contact_id).where(SegmentMember.segment_id == id)))


def test_who_enters_and_leaves_begins_a_journey_and_exits_another(world: Any) -> None:
    anna = world.contact()
    segment(world, "buyers", BUYERS)
    segment(world, "stop", {"event": "Unsubscribed"})
    world.publish(journey("welcome", "segment_entered", "buyers", {"rule": {"segment": "stop"}}))
    world.publish(journey("back", "segment_left", "buyers"))
    appended(world, anna, "Order Completed")
    assert set(settle(world.engine).starts)
    assert (begun(world), is_in(world, "buyers")) == (["welcome"], {anna})
    appended(world, anna, "Unsubscribed")
    wakeups = settle(world.engine)
    assert len(wakeups.runs) == 1, "the run that waits hears of the segment in its exit"
    world.now += timedelta(days=3)
    settle(world.engine)
    assert begun(world) == ["welcome", "back"]
    assert told(world) == [("Segment Entered", "buyers", 0), ("Segment Entered", "stop", 0), ("Segment Left", "buyers", 0)]


def test_time_alone_flips_on_the_microsecond_and_nobody_is_polled(world: Any) -> None:
    anna, bert = world.contact(), world.contact()
    world.now = datetime(2025, 12, 29, 0, 30, tzinfo=UTC)  # ninety days later Zurich has put its clocks forward
    appended(world, anna, "Order Completed")
    segment(world, "lapsed", LAPSED)
    assert is_in(world, "lapsed") == {bert}
    world.now += timedelta(days=90) - timedelta(microseconds=1)
    settle(world.engine)
    assert is_in(world, "lapsed") == {bert}
    with world.db.read() as session:
        assert evaluation.waiting(session, world.now) == []
    world.now += timedelta(microseconds=1)
    settle(world.engine)
    assert is_in(world, "lapsed") == {anna, bert}
    assert told(world) == [("Segment Entered", "lapsed", 0)], "who was in it from the start was told of to nobody"


def test_imported_history_is_silent_and_a_journey_s_doing_counts_its_hops(world: Any) -> None:
    anna, bert = world.contact(), world.contact()
    segment(world, "buyers", BUYERS)
    segment(world, "inner", {"segment": "buyers"})
    appended(world, anna, "Order Completed", backfill=True)
    settle(world.engine)
    assert (told(world), is_in(world, "inner")) == ([], {anna})
    appended(world, bert, "Order Completed", hops=4)
    settle(world.engine)
    assert told(world) == [("Segment Entered", "buyers", 4), ("Segment Entered", "inner", 4)]


def test_a_rule_is_not_judged_by_a_membership_that_is_about_to_change(world: Any) -> None:
    """One event makes both true: the outer segment, which leaves the inner one out, is never entered."""
    anna = world.contact()
    segment(world, "z", BUYERS)
    segment(world, "a", {"rules": [{"event": "Order Completed"}, {"segment": "z", "member": False}]})
    appended(world, anna, "Order Completed")
    settle(world.engine)
    assert told(world) == [("Segment Entered", "z", 0)]


def test_a_list_kept_by_hand(world: Any) -> None:
    anna = world.contact()
    segment(world, "guests", None)
    segment(world, "both", {"segment": "guests"})
    with world.db.write() as session:
        assert len(segments.put_in(session, "guests", [anna, "nobody"], "test", world.now)) == 1
        assert segments.put_in(session, "guests", [anna], "test", world.now) == []
    settle(world.engine)
    assert is_in(world, "both") == {anna}
    with world.db.write() as session:
        assert segments.take_out(session, "guests", [anna], "test", world.now, silent=True) == []
    settle(world.engine)
    assert told(world) == [("Segment Entered", "guests", 0), ("Segment Entered", "both", 0)]
    assert is_in(world, "both") == set()
    with world.db.write() as session, pytest.raises(Conflict):
        segments.put_in(session, "both", [anna], "test", world.now)


def test_a_segment_that_is_asked_for_stays_and_of_a_deleted_one_nobody_is_left(world: Any) -> None:
    anna = world.contact()
    appended(world, anna, "Order Completed")
    segment(world, "buyers", BUYERS)
    segment(world, "outer", {"segment": "buyers"})
    with world.db.write() as session, pytest.raises(Conflict) as refused:
        segments.remove(session, "buyers", "test", world.now)
    assert refused.value.details["segments"] == ["outer"]
    with world.db.write() as session:
        segments.remove(session, "outer", "test", world.now)
        segments.remove(session, "buyers", "test", world.now)
        jobs = list(session.scalars(select(Job.id).where(Job.kind == segments.EMPTY)))
    world.now += timedelta(days=4)
    settle(world.engine)  # what was planned for it comes due, and comes to nothing
    for job in jobs:
        work_through(world.engine, job)
    with world.db.read() as session:
        left = [session.execute(select(rows)).all() for rows in (members.members, members.flips)]
        assert segments.listed(session) == []
    assert left == [[], []]
    assert told(world) == []


def test_circles_are_refused_with_the_way_they_go(world: Any) -> None:
    segment(world, "one", BUYERS)
    segment(world, "two", {"segment": "one"})
    segment(world, "three", {"rules": [{"tag": "x"}, {"segment": "two"}]})
    with world.db.write() as session, pytest.raises(segments.Invalid) as refused:
        segments.change(session, "one", "test", world.now, rule={"segment": "three"})
    assert refused.value.issues[0].values == {"circle": "one → three → two → one"}


def test_whoever_cannot_be_asked_holds_up_nobody(world: Any) -> None:
    anna, bert = world.contact(), world.contact()
    segment(world, "buyers", BUYERS)
    for one in (anna, bert):
        appended(world, one, "Order Completed")
    with world.db.write() as session:
        session.execute(members.segments.update().values(rule={"event": ""}))  # a row that no version of ours would write
        segment_marks.changed(session)
    evaluate(world.engine, [anna, bert])
    with world.db.read() as session:
        assert evaluation.waiting(session, world.now) == []
    with world.db.write() as session:
        session.execute(members.segments.update().values(rule=BUYERS))
        segment_marks.changed(session)
    world.now += evaluation.AGAIN
    settle(world.engine)
    assert is_in(world, "buyers") == {anna, bert}


def test_one_worker_at_a_time(world: Any) -> None:
    one, other = (Evaluator(world.engine, Nobody()) for _ in range(2))  # type: ignore[arg-type]
    segment(world, "buyers", BUYERS)
    for evaluator, answers in ((one, True), (other, False), (one, True)):
        appended(world, world.contact(), "Order Completed")
        assert (evaluator.page() is not None) is answers


class Nobody:
    async def wake(self, wakeups: Any) -> int:
        return 0


# A death at each commit


@contextmanager
def mortal(world: Any, points: Points) -> Iterator[None]:
    dialect = world.db.engine.dialect
    commit = dialect.do_commit

    def commit_between_points(connection: Any) -> None:
        points.reach()
        commit(connection)
        points.reach()

    dialect.do_commit = commit_between_points
    try:
        yield
    finally:
        dialect.do_commit = commit


def test_a_death_at_any_commit_loses_no_membership_and_tells_nobody_twice(world: Any) -> None:
    """The worker dies before or after each commit while a segment fills and events come; the next one goes on."""
    fatal, ended = 0, False
    while not ended:
        fatal += 1
        ended = story(world, fatal)
    assert fatal > 8, "so many points a story has"


def story(world: Any, fatal: int) -> bool:
    """Whether it was told to its end without a death."""
    old, new = world.contact(), world.contact()
    key, points = f"buyers{fatal}", Points(fatal)
    appended(world, old, "Order Completed")
    settle(world.engine)
    before = len(told(world))

    def survive(act: Any) -> Any:
        try:
            with mortal(world, points):
                return act()
        except Death:
            return None

    while survive(lambda: _make(world, key, BUYERS)) is None and not _is_there(world, key):
        pass
    with world.db.read() as session:
        job_id = segments.get(session, key).fill_job
    assert job_id is not None
    world.publish(journey(f"welcome{fatal}", "segment_entered", key))
    survive(lambda: do_page(world.engine, job_id))
    while not _is_live(world, key):
        survive(lambda: do_page(world.engine, job_id))
    survive(lambda: appended(world, new, "Order Completed", message_id=f"m{fatal}"))
    appended(world, new, "Order Completed", message_id=f"m{fatal}")
    survive(lambda: settle(world.engine))
    settle(world.engine)
    with world.db.read() as session:
        assert is_in(world, key) == set(sql.among(session, parse_rule(BUYERS), world.now, is_in(world, key) | {old, new}))
        assert {old, new} <= is_in(world, key)
    assert told(world)[before:].count(("Segment Entered", key, 0)) == 1
    assert begun(world).count(f"welcome{fatal}") == 1
    with world.db.write() as session:
        segments.remove(session, key, "test", world.now)
    return points.passed < fatal


def _make(world: Any, key: str, rule: Any) -> bool:
    with world.db.write() as session:
        segments.create(session, key, rule, "test", world.now, key=key)
    return True


def _is_there(world: Any, key: str) -> bool:
    with world.db.read() as session:
        return key in segments.keys(session)


def _is_live(world: Any, key: str) -> bool:
    with world.db.read() as session:
        return segments.get(session, key).state == "live"


class Cancelling:
    async def wake(self, wakeups: Any) -> int:
        raise asyncio.CancelledError


def test_the_loop_evaluates_until_it_is_cancelled(world: Any) -> None:
    segment(world, "buyers", BUYERS)
    anna = world.contact()
    appended(world, anna, "Order Completed")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Evaluator(world.engine, Cancelling()).run())  # type: ignore[arg-type]
    assert is_in(world, "buyers") == {anna}
