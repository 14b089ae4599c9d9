"""What happens while a call is being made is seen by the step after it: nobody waits for, or overlooks, what has happened."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "call",
    "name": "Call",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "settings": {"message_class": "transactional"},
    "start": "task",
    "nodes": {
        "task": {"kind": "create_task", "title": "Call", "outcomes": ["won", "lost"], "sla": "P2D"},
        "tell": {"kind": "send_email", "template": "a"},
        "called": {"kind": "wait_for_task", "task": "task", "outcomes": ["won", "lost"]},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "task", "to": "tell"},
        {"from": "tell", "outlet": "sent", "to": "called"},
        {"from": "called", "outlet": "won", "to": "end"},
        {"from": "called", "outlet": "lost", "to": "end"},
        {"from": "called", "outlet": "overdue", "to": "end"},
    ],
}


def test_a_task_finished_while_the_send_before_its_wait_is_in_flight_is_heard(world) -> None:
    """The attempt keeps the instant at which it began, so what came in meanwhile bears a later one."""
    world.publish(JOURNEY)
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    began = world.now
    world.later(seconds=2)
    world.happens(contact, "Task Finished", {"task_id": f"{run}:task:1", "outcome": "won", "run_id": run, "node": "task"})
    world.now = began + timedelta(milliseconds=100)
    world.perform(run)
    assert ("called", "left", "won") in world.trail(run)
    assert world.row(run).ended_at is not None


def test_a_decision_after_a_long_call_sees_what_happened_during_it(world, monkeypatch) -> None:
    document = {
        **JOURNEY,
        "start": "tell",
        "nodes": {
            "tell": {"kind": "send_email", "template": "a"},
            "bought": {"kind": "if_else", "rule": {"event": "Order Completed"}},
            "end": {"kind": "exit"},
        },
        "edges": [
            {"from": "tell", "outlet": "sent", "to": "bought"},
            {"from": "bought", "outlet": "yes", "to": "end"},
            {"from": "bought", "outlet": "no", "to": "end"},
        ],
    }
    world.publish(document)
    contact = world.contact()
    run = world.run(world.happens(contact, "Signed Up"))
    began, passed, real, send = world.now, [0.0], time.monotonic, world.performer.send
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    def slow(*call: Any) -> Any:
        passed[0] += 30
        world.later(seconds=20)
        world.happens(contact, "Order Completed")
        world.now = began
        return send(*call)

    world.performer.send = slow
    world.perform(run)
    assert ("bought", "left", "yes") in world.trail(run)
    [message] = world.messages(run)
    assert timedelta(seconds=30) <= message.sent_at - began < timedelta(seconds=35)
