"""Whatever can happen to a run is a line of its trail: every kind is written by somebody, and nothing else is."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.providers.provider import RetryLater
from crm.people.merge import merge
from engine.merging import newest, part
from engine.runs.operations import end_run, remove_contact, resume_stuck, skip_stuck, timeline
from engine.runs.rows import halt, lock_run
from engine.runs.trail import KINDS
from engine.versions import migrate, publish

ROOT = Path(__file__).parents[2]
BY = "member:m1"
DOCUMENT: dict[str, Any] = {
    "spec": 1,
    "key": "reply",
    "name": "Reply",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "settings": {"message_class": "transactional"},
    "exit_when": [{"event": "Left Us"}],
    "start": "hello",
    "nodes": {
        "hello": {"kind": "send_email", "template": "a"},
        "reply": {"kind": "wait_for", "branches": [{"name": "came", "event": "Replied"}], "timeout": "P2D"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "hello", "outlet": "sent", "to": "reply"},
        {"from": "reply", "outlet": "came", "to": "end"},
        {"from": "reply", "outlet": "timed_out", "to": "end"},
    ],
}


class Story:
    """One run of the journey."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.journey_id = world.publish(DOCUMENT)
        self.contact_id = world.contact()
        self.run = world.run(world.happens(self.contact_id, "Signed Up"))

    def write(self, change: Callable[..., Any], *more: Any) -> Any:
        with self.world.db.write() as session:
            return change(self.world.engine, session, *more, BY, self.world.now)

    def halt(self, status: str) -> None:
        with self.world.db.write() as session:
            halt(session, lock_run(session, self.run), self.world.now, status, "KeyError")

    def until_the_wait(self) -> None:
        self.world.walk(self.run, until=self.world.now)

    def hears(self, event: str) -> None:
        self.world.later(minutes=1)
        self.world.happens(self.contact_id, event)
        self.world.step(self.run)

    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        with self.world.db.read() as session:
            return [(line["what"], line["detail"]) for line in timeline(session, self.run)["trail"]]


@pytest.fixture
def story(sqlite_world: Any) -> Story:
    return Story(sqlite_world)


def replied(story: Story) -> None:
    story.until_the_wait()
    story.hears("Replied")


def left_us(story: Story) -> None:
    story.until_the_wait()
    story.hears("Left Us")


def did_not_get_through(story: Story) -> None:
    story.world.performer.failures = [RetryLater("busy", timedelta(seconds=1))]
    with pytest.raises(ApplicationError):
        story.world.perform(story.run)


def paused_and_resumed(story: Story) -> None:
    story.write(publish.pause, story.journey_id)
    story.world.perform(story.run)
    story.world.step(story.run)
    story.write(publish.resume, story.journey_id)
    story.world.step(story.run)


def stuck(story: Story) -> None:
    story.halt("stuck")


def quarantined_and_let_go_on(story: Story) -> None:
    story.halt("quarantined")
    story.write(resume_stuck, story.run)


def skipped(story: Story) -> None:
    story.halt("stuck")
    story.write(skip_stuck, story.run, "sent")


def taken_out(story: Story) -> None:
    story.write(end_run, story.run)


def moved_there_and_back(story: Story) -> None:
    story.until_the_wait()
    story.world.publish({**DOCUMENT, "name": "Reply, again"})
    with story.world.db.write() as session:
        id = migrate.start(story.world.engine, session, story.journey_id, 1, 2, {"reply": "reply"}, BY, story.world.now).id
        migrate.carry_on(story.world.engine, session, id, story.world.now)
    with story.world.db.write() as session:
        migrate.begin_rollback(session, id, BY)
        migrate.carry_on(story.world.engine, session, id, story.world.now)


def moved_where_it_stood(story: Story) -> None:
    story.until_the_wait()
    story.world.publish({**DOCUMENT, "name": "Reply, again"})
    with story.world.db.write() as session:
        id = migrate.start(story.world.engine, session, story.journey_id, 1, 2, {}, BY, story.world.now).id
        migrate.carry_on(story.world.engine, session, id, story.world.now)
    story.world.step(story.run)


def merged_and_parted(story: Story) -> None:
    """The run goes to the contact that stays, and comes back."""
    story.until_the_wait()
    stays = story.world.contact()
    with story.world.db.write() as session:
        merge(session, stays, story.contact_id, story.world.now)
        undone = newest(session, stays)
        assert undone is not None
    assert story.world.row(story.run).contact_id == stays
    story.write(part, undone.id)
    assert story.world.row(story.run).contact_id == story.contact_id


SCENES: dict[str, tuple[Callable[[Story], None], tuple[str, ...]]] = {
    "replied": (replied, ("entered", "calling", "performed", "left", "waiting", "heard", "ended")),
    "left us": (left_us, ("exited",)),
    "did not get through": (did_not_get_through, ("attempt",)),
    "paused and resumed": (paused_and_resumed, ("held", "resumed")),
    "stuck": (stuck, ("stuck",)),
    "quarantined": (quarantined_and_let_go_on, ("quarantined", "resumed")),
    "skipped": (skipped, ("skipped",)),
    "taken out": (taken_out, ("taken_out", "ended")),
    "moved where it stood": (moved_where_it_stood, ("migrated", "placed")),
    "merged and parted": (merged_and_parted, ("merged", "parted")),
    "moved there and back": (moved_there_and_back, ("migrated", "migrated_back")),
}
"""What happens -> the kinds of lines it leaves, in order."""


@pytest.mark.parametrize("scene", SCENES)
def test_what_happens_is_a_line(story: Story, scene: str) -> None:
    happens, kinds = SCENES[scene]
    happens(story)
    written = [what for what, _ in story.lines() if what in kinds]
    assert tuple(dict.fromkeys(written)) == kinds


def test_every_kind_happens_in_a_scene() -> None:
    assert {kind for _, kinds in SCENES.values() for kind in kinds} == set(KINDS)


def written_kinds() -> Iterator[str]:
    """The literal kinds that the code writes into a trail."""
    rooms = ("engine", "activities", "crm", "storage", "workspace")
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        if path.name == "intake.py":
            continue  # notes of another sort
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func).rpartition(".")[2]
            place = {"_note": 0, "Note": 1, "note_beside": 2, "halt": 3}.get(name)
            given = [word.value for word in call.keywords if name == "Trail" and word.arg == "what"]
            given += [call.args[place]] if place is not None and len(call.args) > place else []
            for value in given:
                yield from (node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_no_line_is_of_another_kind() -> None:
    assert set(written_kinds()) == set(KINDS)


def test_a_run_that_a_merge_moves_says_with_whom(story: Story) -> None:
    stays = story.world.contact()
    with story.world.db.write() as session:
        merge(session, stays, story.contact_id, story.world.now)
        merge(session, stays, story.contact_id, story.world.now)
    assert [detail for what, detail in story.lines() if what == "merged"] == [{"contact": story.contact_id}]


def test_who_was_held_and_goes_on_with_the_journey_says_so_once(story: Story) -> None:
    paused_and_resumed(story)
    beside = [(what, detail) for what, detail in story.lines() if what in ("held", "resumed")]
    assert [what for what, _ in beside] == ["held", "resumed"]
    assert beside[1][1] == {"reason": "journey_resumed"}


def test_who_leaves_while_held_was_not_resumed(story: Story) -> None:
    story.until_the_wait()
    story.write(publish.pause, story.journey_id)
    story.world.later(days=3)
    story.world.step(story.run)
    story.hears("Left Us")
    assert [what for what, _ in story.lines()][-3:] == ["held", "exited", "ended"]


def test_a_stuck_run_whose_cause_is_gone_says_that_it_was_tried_again(story: Story) -> None:
    story.until_the_wait()
    story.halt("stuck")
    story.hears("Replied")
    assert ("resumed", {"reason": "tried_again"}) in story.lines()


def test_who_was_taken_out_by_whom_is_kept_for_everybody(story: Story) -> None:
    story.write(remove_contact, story.journey_id, story.contact_id)
    assert [(what, detail) for what, detail in story.lines()][-2:] == [("taken_out", {"by": BY}), ("ended", {"reason": "removed"})]


def test_a_wakeup_alone_lets_no_quarantined_run_go_on(story: Story) -> None:
    story.until_the_wait()
    story.halt("quarantined")
    story.world.step(story.run)
    assert story.world.row(story.run).status == "quarantined"
