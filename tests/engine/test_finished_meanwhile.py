"""A task that is finished while the run is on its way to the wait for it: nobody waits for what has happened."""

from __future__ import annotations

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
