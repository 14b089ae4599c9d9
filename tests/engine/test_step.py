"""The step protocol: numbered, fenced, decided by the database; and what exits, pauses and errors do to a run."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import event as hooks
from sqlmodel import select

from engine.runs import operations as running
from engine.versions import publish as publishing
from journeys.changes import AddTag
from journeys.nodes import Node
from journeys.values import Answer, Context, Leave
from models import Inbox, Task


def test_reference_journey_goes_its_way(world, reference):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    ended = world.walk(run)
    assert ended["reason"] == "completed"
    assert [node for node, what, _ in world.trail(run) if what == "entered"] == [
        "hello",
        "day",
        "opened",
        "nudge",
        "two_days",
        "last",
        "end",
    ]
    assert world.performer.received == [f"{run}:hello:1", f"{run}:nudge:1", f"{run}:last:1"]
    assert [m.status for m in world.messages(run)] == ["sent"] * 3


def test_an_open_takes_the_other_branch(world, reference):
    world.publish(reference)
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.walk(run, until=world.now + timedelta(hours=1))
    world.happens(contact, "Message Opened", {"run_id": run, "node": "hello", "machine": False})
    world.walk(run)
    assert f"{run}:thanks:1" in world.performer.received


def test_a_repeated_step_changes_nothing_and_answers_the_same(world, reference):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    first = world.perform(run, 1).instruction
    before = world.row(run)
    assert world.step(run, 1).instruction == first
    assert world.perform(run, 1).instruction == first
    assert world.row(run) == before
    assert world.performer.received == [f"{run}:hello:1"]


def test_a_wake_up_that_is_too_early_waits_again(world, reference):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    waiting = world.perform(run).instruction
    world.later(hours=23)
    assert world.step(run).instruction == waiting
    assert world.row(run).step == waiting["step"]


def test_a_plain_wait_foretells_the_call_behind_it(world, reference):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    first = world.perform(run).instruction
    assert "then" not in first, "a decision lies between the first wait and the next mail"
    world.later(days=1)
    world.step(run)
    second = world.perform(run).instruction
    assert second["then"]["activity"] == "effect:email"


def test_a_database_behind_its_workflow_is_never_guessed_at(world, reference):
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    asked = world.step(run, 7).instruction
    assert asked == {"op": "wait", "step": 7, "until": None}
    assert world.row(run).status == "quarantined"
    with world.db.write() as session:
        running.resume_stuck(world.engine, session, run, "test", world.now)
    assert world.perform(run, 7).instruction["op"] == "wait"
    assert world.row(run).status == "active"


def test_an_exit_ends_the_run_in_the_middle_of_a_wait(world, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.perform(run)
    world.later(hours=1)
    wakeups = world.happens(contact, "Order Completed")
    assert wakeups.runs == {run}
    assert world.step(run).instruction["reason"] == "exit"
    assert world.happens(contact, "Order Completed").runs == set(), "an ended run listens no more"


def test_nothing_leaves_after_an_exit_was_committed(world, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.happens(contact, "Order Completed")
    assert world.perform(run).instruction["op"] == "end"
    assert world.performer.received == []


def test_an_exit_event_from_before_the_run_does_not_count(world, reference):
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.perform(run)
    world.happens(contact, "Order Completed", occurred_at=world.now - timedelta(days=1))
    assert world.step(run).instruction["op"] == "wait"


def test_pause_holds_what_comes_due_and_resume_lets_it_go_on(world, reference):
    journey = world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact, other = world.contact(), world.contact()
    run, leaver = world.run(world.happens(contact, "Signed Up")), world.run(world.happens(other, "Signed Up"))
    world.perform(run)
    world.perform(leaver)
    with world.db.write() as session:
        publishing.pause(world.engine, session, journey, "test", world.now)
    world.later(days=2)
    assert world.step(run).instruction["until"] is None
    assert world.row(run).status == "held"
    world.happens(other, "Order Completed")
    assert world.step(leaver).instruction["reason"] == "exit", "exits still act"
    with world.db.write() as session:
        publishing.resume(world.engine, session, journey, "test", world.now)
    assert world.step(run).instruction["op"] == "do"
    assert world.row(run).status == "active"


def test_a_paused_journey_lets_no_message_leave(world, reference):
    journey = world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    with world.db.write() as session:
        publishing.pause(world.engine, session, journey, "test", world.now)
    assert world.perform(run).instruction["until"] is None
    assert world.performer.received == []


def test_a_stopped_journey_ends_its_runs_at_their_next_step(world, reference):
    journey = world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(run)
    with world.db.write() as session:
        publishing.stop(world.engine, session, journey, "test", world.now)
    assert world.step(run).instruction == {"op": "end", "step": 3, "reason": "stopped"}
    assert not world.happens(world.contact(), "Signed Up")


class Fragile(Node):
    """Breaks as long as `broken` says so, as a kind with a mistake does."""

    kind = "fragile"
    group = "code"
    broken: ClassVar[bool] = True

    def enter(self, ctx: Context) -> Answer:
        if type(self).broken:
            raise ZeroDivisionError("the address of Ms Muster is wrong")
        return Leave(outlet="next", changes=(AddTag(tag="mended"),))


def test_an_error_in_a_node_leaves_the_run_stuck_and_goes_on_after_the_fix(world, reference, monkeypatch):
    world.engine.palette = world.engine.palette.with_kinds(Fragile)
    nodes = {**reference["nodes"], "opened": {"kind": "fragile"}}
    edges = [edge for edge in reference["edges"] if edge["from"] not in ("opened", "nudge")] + [{"from": "opened", "to": "thanks"}]
    del nodes["nudge"]
    world.publish({**reference, "nodes": nodes, "edges": edges})
    run = world.run(world.happens(world.contact(), "Signed Up"))
    world.perform(run)
    world.later(days=1)
    assert world.step(run).instruction["until"] is None
    row = world.row(run)
    assert (row.status, row.reason, row.node) == ("stuck", "ZeroDivisionError", "day")
    assert "Muster" not in row.error
    monkeypatch.setattr(Fragile, "broken", False)
    with world.db.write() as session:
        assert running.resume_stuck(world.engine, session, run, "test", world.now).runs == {run}
    assert world.step(run).instruction["op"] == "do"


def test_an_answer_from_outside_survives_the_error_behind_it(world, reference, monkeypatch):
    monkeypatch.setattr(Fragile, "broken", True)
    world.engine.palette = world.engine.palette.with_kinds(Fragile)
    document = {
        **reference,
        "nodes": {"hello": reference["nodes"]["hello"], "opened": {"kind": "fragile"}, "end": {"kind": "exit"}},
        "edges": [{"from": "hello", "outlet": "sent", "to": "opened"}, {"from": "opened", "to": "end"}],
    }
    world.publish(document)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    assert world.perform(run).instruction == {"op": "wait", "step": 1, "until": None}
    assert [m.status for m in world.messages(run)] == ["sent"]
    monkeypatch.setattr(Fragile, "broken", False)
    assert world.perform(run).instruction["op"] == "end"
    assert world.performer.received == [f"{run}:hello:1"], "it was not sent again"


def test_a_person_can_lead_a_stuck_run_past_its_node(world, reference, monkeypatch):
    monkeypatch.setattr(Fragile, "broken", True)
    world.engine.palette = world.engine.palette.with_kinds(Fragile)
    document = {
        **reference,
        "start": "opened",
        "nodes": {"hello": reference["nodes"]["hello"], "opened": {"kind": "fragile"}, "end": {"kind": "exit"}},
        "edges": [{"from": "opened", "to": "hello"}, {"from": "hello", "outlet": "sent", "to": "end"}],
    }
    world.publish(document)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    assert world.row(run).status == "stuck"
    with world.db.write() as session:
        running.skip_stuck(world.engine, session, run, "next", "test", world.now)
    assert world.step(run).instruction["op"] == "do"
    assert world.row(run).node == "hello"


def test_a_change_that_fails_takes_back_those_before_it_and_leaves_the_inbox_unread(world):
    document = {
        "spec": 1, "key": "j", "name": "J", "start": "hear",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "nodes": {
            "hear": {"kind": "wait_for", "branches": [{"name": "asked", "event": "Question Asked"}], "timeout": "P9D"},
            "call": {"kind": "create_task", "title": "Call"},
            "next": {"kind": "change_score", "group": "fit", "points": 1},
            "end": {"kind": "exit"},
        },
        "edges": [
            {"from": "hear", "outlet": "asked", "to": "call"}, {"from": "hear", "outlet": "timed_out", "to": "end"},
            {"from": "call", "to": "next"}, {"from": "next", "to": "end"},
        ],
    }  # fmt: skip
    world.publish(document)
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    world.happens(contact, "Question Asked")
    with failing(world.db, "INSERT INTO score"):
        world.step(run)
    assert world.row(run).status == "stuck"
    with world.db.read() as session:
        assert session.scalars(select(Task)).all() == []
        assert session.scalars(select(Inbox.consumed)).all() == [False]
    with world.db.write() as session:
        running.resume_stuck(world.engine, session, run, "test", world.now)
    assert world.step(run).instruction["op"] == "end"
    with world.db.read() as session:
        assert len(session.scalars(select(Task)).all()) == 1


@contextmanager
def failing(db, beginning):
    """Statements that begin so raise what nobody foresaw."""

    def look(_connection, _cursor, statement, *_):
        if statement.startswith(beginning):
            raise RuntimeError("planted")

    hooks.listen(db.engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        hooks.remove(db.engine, "before_cursor_execute", look)
