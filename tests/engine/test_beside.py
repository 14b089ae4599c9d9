"""What happens to a run between its steps is kept: held, stuck, let go on, skipped, ended, and calls that did not get through."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.providers.provider import RetryLater
from engine.runs.operations import end_run, resume_stuck, skip_stuck, timeline
from engine.runs.rows import halt, lock_run
from engine.versions import publish
from storage.run_trail import FIRST, MOST, note_beside

BY = "member:m1"


@pytest.fixture
def run(world, reference):
    world.publish(reference)
    return world.run(world.happens(world.contact(), "Signed Up"))


def beside(world, run):
    """The lines that no step wrote, as (what, outlet, detail)."""
    with world.db.read() as session:
        return [(line["what"], line["outlet"], line["detail"]) for line in timeline(session, run)["trail"] if line["seq"] >= FIRST]


def write(world, run, change, *more):
    with world.db.write() as session:
        return change(world.engine, session, run, *more, BY, world.now)


def sticks(world, run, reason="ValueError"):
    with world.db.write() as session:
        halt(session, lock_run(session, run), world.now, "stuck", reason)


def test_attempts_that_do_not_get_through_count_up_by_reason(world, run):
    for code in ("busy", "timeout", "busy", "busy"):
        world.performer.failures = [RetryLater(code, timedelta(seconds=1))]
        with pytest.raises(ApplicationError):
            world.perform(run)
        world.later(minutes=1)
    last = (world.now - timedelta(minutes=1)).isoformat()
    assert beside(world, run) == [
        ("attempt", "", {"reason": "busy", "count": 3, "last": last}),
        ("attempt", "", {"reason": "timeout"}),
    ]
    world.perform(run)
    assert [what for _, what, _ in world.trail(run)][:2] == ["entered", "calling"]


def test_a_stuck_run_says_why_and_who_let_it_go_on(world, run):
    sticks(world, run)
    sticks(world, run)
    write(world, run, resume_stuck)
    sticks(world, run)
    write(world, run, skip_stuck, "sent")
    lines = beside(world, run)
    assert [(what, outlet) for what, outlet, _ in lines] == [("stuck", ""), ("resumed", ""), ("stuck", ""), ("skipped", "sent")]
    assert lines[0][2]["reason"] == "ValueError"
    assert lines[0][2]["count"] == 2
    assert (lines[1][2], lines[3][2]) == ({"by": BY}, {"by": BY})


def test_a_paused_journey_holds_and_the_story_says_so(world, run):
    with world.db.write() as session:
        publish.pause(world.engine, session, world.row(run).journey_id, BY, world.now)
    world.perform(run)
    assert beside(world, run) == [("held", "", {"reason": "paused"})]


def test_who_ended_a_run_is_kept(world, run):
    write(world, run, end_run)
    assert ("taken_out", "", {"by": BY}) in beside(world, run)
    with world.db.read() as session:
        assert [line["what"] for line in timeline(session, run)["trail"]][-2:] == ["taken_out", "ended"]


def test_there_are_few_lines_whatever_happens(world, run):
    with world.db.write() as session:
        row = lock_run(session, run)
        for number in range(2 * MOST):
            note_beside(session, row, "stuck", world.now, {"reason": f"reason{number}"})
    lines = beside(world, run)
    assert len(lines) == MOST
    assert lines[-1][2] == {"reason": f"reason{2 * MOST - 1}"}
