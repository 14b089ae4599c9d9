"""What the canvas is told without a browser: numbers in small pieces, notes that are checked, a contact's path, differences, days."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from builder_ui.builder import cards, json_field, metrics
from builder_ui.builder.draft import Draft
from builder_ui.builder.editor import Editor
from builder_ui.builder.protocol import ENTRY, MAX_NOTES
from builder_ui.journeys import compare
from builder_ui.kit.i18n import Translator
from engine.versions import publish
from journeys.document import digest
from journeys.reading import read
from models import Member
from storage.tally import Counts
from tests.builder_ui.test_builder import context_of, edited, ops, stored
from workspace import secrets

NOTE = {"text": "Ask Vera", "color": "blue", "x": 10, "y": -40.4, "width": 200, "height": 90}


async def until(editor: Editor, true: Callable[[], Any]) -> None:
    """Waits for the news after which something holds."""
    heard = asyncio.Event()
    stop = editor.listen(("feed", "head", "numbers", "path"), heard.set)
    async with asyncio.timeout(10):
        while not true():
            heard.clear()
            await heard.wait()
    stop()


def sent(editor: Editor, part: str) -> list[Any]:
    return [patch[part] for patch in editor.feed()["patches"] if part in patch]


def test_numbers_come_whole_and_then_only_what_differs(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.listen(("feed",), lambda: None)
        editor.toggle_counts()
        await until(editor, lambda: sent(editor, "counts"))
        [first] = sent(editor, "counts")
        assert first["fresh"] is True
        assert first["nodes"][ENTRY]["entered"] == 5
        assert first["nodes"]["hello"] == {"waiting": 0, "entered": 5, "left": {"sent": 5}, "sent": 5, "opened": 2, "skipped": []}
        town.now = town.engine.clock.now()
        town.person("Zoe", "Zimmer")
        town.happens("Zoe", "Signed Up")
        await until(editor, lambda: len(sent(editor, "counts")) > 1)
        later = sent(editor, "counts")[1]
        assert later["fresh"] is False
        assert later["nodes"].keys() == {ENTRY, "hello"}
        assert len(json.dumps(later)) < 600

        # Another version, and away.
        editor.count_version(1)
        await until(editor, lambda: len(sent(editor, "counts")) > 2)
        assert sent(editor, "counts")[2]["version"] == 1
        editor.count_version(77)
        assert editor.counted_version == 1
        editor.toggle_counts()
        assert sent(editor, "counts")[-1] is None
        assert editor.figures is None

    edited(town, story, key="welcome")


def test_reasons_stand_in_words_the_most_frequent_first() -> None:
    counts = Counts()
    for node, what, outlet, count in (
        ("a", "skipped", "quiet_hours", 3),
        ("a", "skipped", "no_consent", 12),
        ("a", "skipped", "own_reason", 0),
        ("", "refused", "cap", 2),
    ):
        counts.add(node, what, outlet, count)
    found = metrics.figures(_translator(), counts)
    assert found["a"]["skipped"] == [["no_consent", "no consent", 12], ["quiet_hours", "quiet hours", 3]]
    assert found[ENTRY]["refused"] == [["cap", "The limit of entries was reached", 2]]
    assert metrics.changed({"a": {"waiting": 1}, "b": {}}, {"a": {"waiting": 2}}) == {"a": {"waiting": 2}, "b": None}
    assert metrics.address("j", ENTRY, "refused", "cap") == "/ui/journeys/j/people?what=refused&outlet=cap"
    assert metrics.address("j", "a b", "left", "yes", 3) == "/ui/journeys/j/people?node=a+b&what=left&outlet=yes&version=3"


def _translator() -> Translator:
    from datetime import UTC, datetime

    from builder_ui.kit.i18n import translator_of

    return translator_of(Member(name="x", email="x", locale="en", created_at=datetime.now(UTC)), "", "en")


def test_notes_are_stored_beside_the_journey_and_do_not_change_what_it_does(town: Any) -> None:
    before = digest(read(stored(town)))

    async def story(editor: Editor) -> None:
        editor.hear(ops(notes={"n1": NOTE, "n2": {**NOTE, "text": ""}}))
        editor.hear(ops(2, torn=["n2"]))
        await editor.save()
        assert editor.graph()["notes"].keys() == {"n1"}

    edited(town, story)
    assert stored(town)["ui"]["notes"] == [{**NOTE, "id": "n1"}]
    assert digest(read(stored(town))) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {**NOTE, "text": "x" * 2_001},
        {**NOTE, "color": "red"},
        {**NOTE, "width": 1e9},
        {**NOTE, "x": float("inf")},
        {"text": "nowhere"},
        "text",
    ],
)
def test_a_note_that_is_none_is_refused_and_nothing_is_half_written(town: Any, wrong: Any) -> None:
    async def story(editor: Editor) -> None:
        before = editor.draft.document()
        editor.hear(ops(notes={"n1": NOTE, "n2": wrong}))
        assert editor.draft.document() == before
        assert "graph" in editor.feed()["patches"][-1]

    edited(town, story)


def test_there_are_at_most_a_hundred_notes(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.hear(ops(notes={f"n{n}": NOTE for n in range(MAX_NOTES)}))
        assert len(editor.draft.notes) == MAX_NOTES
        editor.hear(ops(2, notes={"more": NOTE}))
        editor.add_note()
        assert len(editor.draft.notes) == MAX_NOTES
        assert "more" not in editor.draft.notes

    edited(town, story)


def test_whoever_may_only_read_sticks_no_note_on(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.hear(ops(notes={"n1": NOTE}))
        editor.add_note()
        editor.put_note("n1", "x")
        assert editor.draft.notes == {}

    edited(town, story, role="viewer")


@pytest.mark.parametrize("ui", [{"notes": "x"}, {"notes": [1, None, {"text": 3}, {"x": "a"}]}, {"notes": {"a": 1}, "other": [1]}, {}])
def test_files_may_carry_anything_in_ui(ui: dict[str, Any]) -> None:
    draft = Draft({"key": "j", "name": "J", "ui": ui})
    assert draft.notes == {}
    assert draft.document()["ui"].get("other") == ui.get("other")
    many = [{"id": "same", "text": "x" * 3_000, "x": 1, "y": 2, "color": "green"} for _ in range(150)]
    notes = Draft({"key": "j", "name": "J", "ui": {"notes": many}}).notes
    assert len(notes) == MAX_NOTES
    assert {len(note.text) for note in notes.values()} == {2_000}


def test_a_path_is_numbered_and_says_where_the_contact_waits(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.follow_somebody(town.run_of("Carla"))
        path = editor.path
        assert path is not None
        await until(editor, lambda: path.story is not None and path.runs is not None)
        marks = path.marks
        assert marks["hello"]["sign"] == "1"
        assert marks["hello:sent"]["sign"] == "2"
        assert marks["hello"]["lines"][0].endswith(": Sent")
        assert [id for id, mark in marks.items() if mark["tone"] == "waiting"] == [path.story.story["run"]["node"]]
        assert "hello" in path.graph["nodes"]
        await path.search("no such person")
        assert path.runs == []
        await path.search("anna")
        assert {run["contact_id"] for run in path.runs} == {town.people["Anna"]}
        await path.search("")
        editor.spawn(path.choose, town.run_of("Anna"))
        await until(editor, lambda: path.run_id == town.run_of("Anna"))
        assert path.marks["hello"]["lines"][0].endswith(": Sent, Opened")
        path.hear(json.dumps({"type": "select", "ids": ["hello"]}))
        path.hear("nonsense")
        assert path.focus == (0, "hello")
        editor.back_to_drawing()
        assert editor.path is None

    edited(town, story, role="viewer", key="welcome")


def test_a_run_of_another_journey_is_not_shown(town: Any) -> None:
    async def story(editor: Editor) -> None:
        for run in (town.run_of("Felix"), "nobody"):
            editor.follow_somebody(run)
            path = editor.path
            assert path is not None
            await until(editor, lambda path=path: path.wrong)
            assert path.story is None
            editor.back_to_drawing()

    edited(town, story, key="welcome")


def test_differences_lie_on_one_drawing_and_places_do_not_count(town: Any) -> None:
    context = context_of(town, "viewer", "welcome")
    with town.db.read() as session:
        before = dict(publish.get_journey(session, "welcome").draft)
    moved = {**before, "ui": {"positions": {before["start"]: {"x": 999, "y": 999}}}}
    assert compare.compared(context, before, moved)[1:] == ({}, [])

    nodes = {id: raw for id, raw in before["nodes"].items() if id != "tips"}
    nodes |= {"a_day": {**nodes["a_day"], "duration": "P3D"}, "extra": {"kind": "exit"}}
    edges = [edge for edge in before["edges"] if "tips" not in (edge["from"], edge["to"])]
    after = {**before, "nodes": nodes, "edges": [*edges, {"from": "read_it", "outlet": "yes", "to": "extra"}]}
    graph, marks, lines = compare.compared(context, before, after)
    assert {id: marks[id]["sign"] for id in ("tips", "a_day", "extra")} == {"tips": "−", "a_day": "~", "extra": "+"}
    assert marks["a_day"]["lines"] == ["In the step A day, “How long” changes from 1 day to 3 days."]
    assert marks["read_it:yes"]["tone"] == "added"
    assert marks["read_it:yes:gone"]["tone"] == "removed"
    assert ["read_it", "yes", "tips", "gone"] in graph["edges"]
    assert ["read_it", "yes", "extra"] in graph["edges"]
    assert "tips" in graph["nodes"]
    assert {line.node for line in lines} >= {"tips", "a_day", "extra", "read_it"}


def test_versions_that_are_not_there_are_not_found(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    for path in ("diff?from=99", "diff?from=x&to=draft", "drawing?version=-1", "people?what=sung", "people?what=entered&version=x"):
        with opened(client, f"/ui/journeys/welcome/{path}") as page:
            assert "This does not exist" in page.text, path


def test_days_are_counted_from_entry_and_told_after_a_change(town: Any) -> None:
    async def story(editor: Editor) -> None:
        assert editor.hints["hello"] == ["Day 1", "No earlier than entry"]
        wait = {"raw": {"kind": "wait", "duration": "P3D"}, "x": 0, "y": 0}
        editor.hear(ops(nodes={"long": wait}, edges=[[ENTRY, "next", "long"], ["long", "next", "hello"]]))
        await editor.save()
        assert sent(editor, "hints")[-1]["hello"] == ["Day 4", "At the earliest 3 days after entry"]

    edited(town, story, key="welcome")
    assert cards.hints(_translator(), town.engine.palette, {"spec": 99}) == {}


def test_an_administrator_stores_a_secret_where_it_is_needed_and_nobody_else_does(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.keep_secret("vouchers", "hush")
        await until(editor, lambda: editor.notice)

    editor = edited(town, story, role="admin")
    assert editor.notice == ("Secret saved.", True)
    assert ("vouchers", "vouchers") in editor.lookups.offered("secret", {})
    with town.db.read() as session:
        assert secrets.reveal(session, town.engine.address_keys, "vouchers") == "hush"
    editor = edited(town, story, role="marketer")
    assert editor.notice == ("Your role does not allow this.", False)


def test_json_that_is_none_is_told_with_its_line() -> None:
    assert json_field.mistake('{"a": 1}') is None
    assert json_field.mistake('{\n  "a": 1,\n  b: 2\n}') == (3, 3, "b: 2")
    assert json_field.mistake("") == (1, 1, "")
    assert json_field.mistake("[" * 100_000) is not None
