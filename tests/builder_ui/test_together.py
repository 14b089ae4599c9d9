"""Two people in one journey, without a browser: what they do to different parts comes together, what they do to one is asked, and each sees who
else is inside."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from builder_ui.builder import disputes, head, panel
from builder_ui.builder.editor import Editor
from builder_ui.builder.merging import MOST_UNSEEN
from builder_ui.builder.others import Others, initials
from builder_ui.builder.protocol import ENTRY
from builder_ui.builder.stored import fetch
from builder_ui.kit.i18n import translator_of
from engine.presence import SILENT_AFTER, Presence
from engine.versions import drafts
from journeys import conflicts
from models import Member, OpenBuilder
from tests.builder_ui.test_builder import Patient, context_of, drawn, ops, stored

Story = Callable[[Editor, Editor], Coroutine[Any, Any, None]]


def both(town: Any, story: Story, key: str = "survey") -> None:
    """Mara and Alex have the journey open."""

    async def run() -> None:
        mara, alex = (context_of(town, role, key) for role in ("marketer", "admin"))
        await story(Patient(mara, fetch(mara)), Patient(alex, fetch(alex)))

    asyncio.run(run())


def joins(editor: Editor) -> list[dict[str, Any]]:
    return [patch["join"] for patch in editor.feed()["patches"] if "join" in patch]


def said(editor: Editor) -> list[str]:
    return [patch["said"] for patch in editor.feed()["patches"] if patch.get("said")]


def seen(editor: Editor) -> None:
    """The canvas says that it has carried out all news."""
    editor.hear(json.dumps({"type": "seen", "seq": 10_000}))


def choose(editor: Editor, id: str) -> None:
    editor.hear(json.dumps({"type": "select", "ids": [id]}))


def test_edits_of_different_parts_come_together_on_both_pages(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        mara.edit("voucher", ("name",), "By Mara")
        mara.edit(ENTRY, ("description",), "Words")
        alex.edit("voucher", ("url",), "https://alex.example.org")
        alex.hear(ops(nodes={"pause": {"raw": {"kind": "wait", "duration": "P2D"}, "x": 1, "y": 2}}, edges=[["voucher", "ok", "pause"]]))
        await mara.save()
        await alex.save()
        await mara.catch_up()
        for editor in (mara, alex):
            assert (editor.status, editor.conflicts) == ("saved", [])
            assert editor.draft.nodes["voucher"] == {**stored(town)["nodes"]["voucher"]}
            assert editor.draft.edges["voucher", "ok"] == "pause"
            assert editor.feed()["saved"]["all"] is True
        assert said(alex) == ["Mara Marti changed “Journey”, “By Mara”."]
        assert joins(mara)[-1]["nodes"]["pause"]["raw"] == {"kind": "wait", "duration": "P2D"}
        assert joins(mara)[-1]["nodes"]["voucher"]["set"] == [[["url"], "https://alex.example.org"]]
        assert joins(mara)[-1]["edges"] == [["voucher", "ok", "pause"]]

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["voucher"]["name"], document["description"]) == ("By Mara", "Words")


def test_two_values_of_one_field_are_both_kept_until_somebody_chooses(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        mara.edit("voucher", ("name",), "By Mara")
        mara.edit("end", ("name",), "The end")
        await mara.save()
        assert mara.status == "saved"
        assert stored(town)["nodes"]["voucher"]["name"] == "By Alex"
        assert stored(town)["nodes"]["end"]["name"] == "The end"
        await alex.catch_up()
        for editor, by, over in ((mara, "Yours", "Alex Admin"), (alex, "Mara Marti", "Yours")):
            [conflict] = editor.conflicts
            assert (conflict.place, conflict.mine) == ("voucher", "By Mara")
            shown = str(disputes.disputes(editor))
            assert all(text in shown for text in (by, over, "By Mara", "By Alex"))
        errors = [issue.code for issue in mara.issues if issue.severity == "error"]
        assert "conflict" in errors
        mara.decide("voucher", mara.context.by, True)
        await mara.save()
        await alex.catch_up()
        assert alex.conflicts == []
        assert alex.draft.nodes["voucher"]["name"] == "By Mara"

    both(town, story)
    document = stored(town)
    assert document["nodes"]["voucher"]["name"] == "By Mara"
    assert "conflicts" not in document["ui"]


def test_a_question_is_stored_where_nothing_else_is_to_store(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        mara.edit("voucher", ("name",), "By Mara")
        await mara.catch_up()
        assert (mara.status, mara.feed()["saved"]["all"]) == ("unsaved", False)
        assert mara._timer is not None
        await mara.save()
        await alex.catch_up()
        assert [one.mine for one in alex.conflicts] == ["By Mara"]
        revision = alex.revision
        await alex.save()
        await mara.catch_up()
        assert (alex.status, mara.status, mara.revision) == ("saved", "saved", revision), "and stored once"

    both(town, story)
    assert [one.mine for one in conflicts.open_in(stored(town))] == ["By Mara"]


def test_a_step_that_goes_while_its_form_is_written_in_is_asked_of_everybody(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        mara.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    both(town, story)
    assert [one.place for one in conflicts.open_in(stored(town))] == ["voucher"]


def test_a_step_that_is_moved_while_somebody_else_saves_stays_there(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("end", ("name",), "The end")
        await alex.save()
        mara.hear(ops(nodes={"voucher": {"x": 700, "y": 300}}))
        await mara.catch_up()
        await mara.save()

    both(town, story)
    assert stored(town)["ui"]["positions"]["voucher"] == {"x": 700, "y": 300}


def test_a_question_that_is_answered_by_hand_is_gone(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        mara.edit("voucher", ("name",), "By Mara")
        await mara.save()
        assert len(mara.conflicts) == 1
        for name in ("By Mara", "Later"):
            mara.edit("voucher", ("name",), name)
            await mara.save()
        assert mara.conflicts == []
        await alex.catch_up()
        assert alex.conflicts == []

    both(town, story)
    assert "conflicts" not in stored(town)["ui"]


def test_more_questions_than_are_kept_are_asked_as_a_whole(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        for editor in (alex, mara):
            fields = {f"field{number}": editor.id for number in range(conflicts.MOST + 1)}
            editor.hear(ops(nodes={"voucher": {"raw": {**editor.draft.nodes["voucher"], **fields}}}))
            await editor.save()
        assert (mara.status, mara.by) == ("conflict", "Alex Admin")
        assert mara.draft.nodes["voucher"]["field0"] == mara.id

    both(town, story)


def test_a_choice_outlasts_the_page(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.remove("voucher")
        await alex.save()
        mara.edit("voucher", ("name",), "By Mara")
        mara.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    both(town, story)
    assert "voucher" not in stored(town)["nodes"]

    async def later(mara: Editor, alex: Editor) -> None:
        [conflict] = alex.conflicts
        assert conflict.mine["raw"]["name"] == "By Mara"
        assert "By Mara" in str(disputes.disputes(alex))
        alex.decide("voucher", mara.context.by, True)
        await alex.save()

    both(town, later)
    document = stored(town)
    assert document["nodes"]["voucher"]["name"] == "By Mara"
    assert document["start"] == "voucher"
    assert {"from": "voucher", "outlet": "ok", "to": "end"} in document["edges"]


def test_what_comes_in_leaves_choice_and_form_alone(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        before = mara.form_mark()
        alex.edit("end", ("name",), "The end")
        await alex.save()
        await mara.catch_up()
        assert mara.selection == ("voucher",)
        assert mara.generation == 0
        assert mara.fields.fresh("voucher") == {}
        assert mara.form_mark()[0] == before[0]
        alex.edit("voucher", ("url",), "https://alex.example.org")
        await alex.save()
        await mara.catch_up()
        assert mara.fields.fresh("voucher") == {("url",): 1}
        assert mara.generation == 0

    both(town, story)


def test_a_field_that_is_being_written_in_stays_and_is_asked_when_it_is_left(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.edit("voucher", ("name",), "By Alex")
        alex.edit("voucher", ("url",), "https://alex.example.org")
        await alex.save()
        await mara.catch_up()
        assert mara.fields.fresh("voucher") == {("url",): 1}
        mara.edit("voucher", ("name",), "By Mara")
        assert mara.draft.nodes["voucher"]["name"] == "By Alex"
        assert [(one.path, one.mine) for one in mara.conflicts] == [(("nodes", "voucher", "name"), "By Mara")]
        await mara.save()

    both(town, story)
    assert len(conflicts.open_in(stored(town))) == 1


def test_a_field_that_is_left_as_it_was_shows_what_came_in(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        await mara.catch_up()
        mara.hear(json.dumps({"type": "writing", "field": ""}))
        assert mara.fields.fresh("voucher") == {("name",): 1}
        mara.edit("voucher", ("name",), "After that")
        assert mara.conflicts == []

    both(town, story)


def test_a_step_that_goes_while_its_form_is_written_in_is_asked(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        assert [one.place for one in mara.conflicts] == ["voucher"]
        mara.hear(json.dumps({"type": "select", "ids": []}))  # the canvas has nothing chosen any more
        assert mara.selection == ("voucher",), "the form stays while its text is nowhere else"
        assert "pfb-voucher-name" in str(panel.step_panel(mara, "voucher"))
        mara.edit("voucher", ("name",), "Half a name")
        assert mara.selection == ()
        [conflict] = mara.conflicts
        assert conflict.mine["raw"]["name"] == "Half a name"
        mara.decide("voucher", mara.context.by, True)
        assert (mara.draft.nodes["voucher"]["name"], mara.draft.edges[ENTRY, "next"]) == ("Half a name", "voucher")

    both(town, story)


def test_a_field_of_a_step_that_is_gone_goes_when_it_is_left_as_it_was(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        alex.edit("end", ("name",), "The end")
        await alex.save()
        await mara.catch_up()
        assert mara.selection == ("voucher",), "whatever else comes in"
        mara.hear(json.dumps({"type": "writing", "field": ""}))
        assert (mara.selection, "voucher" in mara.views) == ((), False)
        assert len(mara.conflicts) == 1

    both(town, story)


def test_a_form_whose_step_goes_before_the_first_letter_is_heard_comes_back_for_it(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        assert (mara.selection, mara.conflicts) == ((), [])
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        assert mara.selection == ("voucher",)
        assert [one.place for one in mara.conflicts] == ["voucher"]
        mara.edit("voucher", ("name",), "One letter more")
        assert mara.conflicts[0].mine["raw"]["name"] == "One letter more"

    both(town, story)


def test_what_is_written_after_a_step_was_brought_back_is_in_it(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        choose(mara, "voucher")
        mara.hear(json.dumps({"type": "writing", "field": "pfb-voucher-name"}))
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        await mara.save()
        await alex.catch_up()
        alex.decide("voucher", mara.context.by, True)
        await alex.save()
        await mara.catch_up()
        mara.edit("voucher", ("name",), "By Mara")
        assert (mara.draft.nodes["voucher"]["name"], mara.conflicts) == ("By Mara", [])

    both(town, story)


def test_what_the_canvas_says_before_it_has_seen_the_news_is_no_loss(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.hear(ops(nodes={"a": {"raw": {"kind": "wait", "duration": "P1D"}}}, edges=[["voucher", "ok", "a"]]))
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        await mara.catch_up()
        raw = {**stored(town)["nodes"]["voucher"], "name": "By Mara"}
        mara.hear(ops(nodes={"m": {"raw": {"kind": "wait", "duration": "P3D"}}, "voucher": {"raw": raw}}, edges=[["voucher", "ok", "m"]]))
        assert mara.draft.edges["voucher", "ok"] == "a"
        assert {"a", "m"} <= mara.draft.nodes.keys()
        wanted = {one.path: one.mine for one in mara.conflicts}
        assert wanted == {("edges", "voucher", "ok"): "m", ("nodes", "voucher", "name"): "By Mara"}
        seen(mara)
        mara.hear(ops(2, edges=[["voucher", "ok", "m"]]))
        assert mara.draft.edges["voucher", "ok"] == "m"

    both(town, story)


def put_in(id: str) -> str:
    """A step between the voucher and the end."""
    return ops(nodes={id: {"raw": {"kind": "wait", "duration": "P1D"}}}, edges=[["voucher", "ok", id], [id, "next", "end"]])


def follows(editor: Editor) -> list[str]:
    found = ["voucher"]
    for outlet in ("ok", "next", "next"):
        found.append(editor.draft.edges[found[-1], outlet])
    return found


def test_steps_that_both_put_into_one_edge_follow_one_another(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        mara.hear(put_in("m"))
        alex.hear(put_in("a"))
        await alex.save()
        await mara.save()
        await alex.catch_up()
        for editor in (mara, alex):
            assert (follows(editor), editor.conflicts) == (["voucher", "a", "m", "end"], [])

    both(town, story)


def test_a_step_put_into_an_edge_before_the_news_of_another_are_seen_follows_that(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.hear(put_in("a"))
        await alex.save()
        await mara.catch_up()
        mara.hear(put_in("m"))
        assert (follows(mara), mara.conflicts) == (["voucher", "a", "m", "end"], [])
        assert joins(mara)[-1]["edges"] == [["a", "next", "m"]], "which the canvas does not know"

    both(town, story)


def test_a_canvas_that_is_silent_for_long_gets_everything_anew_and_loses_nothing(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        for number in range(MOST_UNSEEN + 20):
            alex.edit("voucher", ("name",), f"By Alex {number}")
            await alex.save()
            await mara.catch_up()
        assert len(mara._unseen) <= MOST_UNSEEN
        assert len(mara.feed()["patches"]) <= 2 * MOST_UNSEEN
        assert any("graph" in patch for patch in mara.feed()["patches"])
        mara.hear(ops(nodes={"voucher": {"raw": {**mara.draft.nodes["voucher"], "name": "By Mara"}}}))
        assert mara.draft.nodes["voucher"]["name"] == f"By Alex {MOST_UNSEEN + 19}"
        assert [one.mine for one in mara.conflicts] == ["By Mara"]
        seen(mara)
        assert (mara._unseen, mara.feed()["patches"]) == ([], [])

    both(town, story)


def test_what_is_changed_while_a_merge_is_made_comes_on_top_of_it(town: Any) -> None:
    """And the merge is not made where the pages are drawn."""

    async def story(mara: Editor, alex: Editor) -> None:
        merged_in: list[bool] = []
        app = mara.context.app
        loop, reached, go_on = threading.get_ident(), threading.Event(), threading.Event()

        class Watched(type(app)):  # type: ignore[misc]
            def now(self) -> datetime:
                merged_in.append(threading.get_ident() == loop)
                if not merged_in[-1]:
                    reached.set()
                    assert go_on.wait(60)
                return datetime.now(UTC)

        mara.edit(ENTRY, ("description",), "Mara")
        alex.edit("end", ("name",), "By Alex")
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        object.__setattr__(mara.context, "app", Watched(**{one.name: getattr(app, one.name) for one in fields(app)}))
        work = asyncio.create_task(mara.catch_up())
        await asyncio.to_thread(reached.wait, 60)
        mara.edit("end", ("name",), "By Mara")
        mara.edit(ENTRY, ("name",), "Anew")
        go_on.set()
        await work
        assert merged_in[0] is False
        assert (mara.draft.parts["description"], mara.draft.parts["name"], mara.draft.nodes["voucher"]["name"]) == (
            "Mara",
            "Anew",
            "By Alex",
        )
        assert [(one.path, one.mine, one.over) for one in mara.conflicts] == [(("nodes", "end", "name"), "By Mara", alex.context.by)]
        await mara.save()

    both(town, story)
    assert stored(town)["name"] == "Anew"


def test_a_step_that_goes_while_the_canvas_changes_it_is_asked(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        raw = {"kind": "webhook", "url": "https://x.example.org", "name": "By Mara"}
        mara.hear(ops(nodes={"voucher": {"raw": raw}}))
        assert "voucher" not in mara.draft.nodes
        assert [(one.path, one.mine["raw"]) for one in mara.conflicts] == [(("nodes", "voucher"), raw)]
        mara.decide("voucher", mara.context.by, True)
        assert (mara.draft.nodes["voucher"], mara.draft.edges[ENTRY, "next"], mara.draft.edges["voucher", "ok"]) == (raw, "voucher", "end")

    both(town, story)


def test_a_way_to_a_step_that_goes_meanwhile_is_asked_with_it(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        mara.hear(ops(nodes={"a": {"raw": {"kind": "wait", "duration": "P1D"}}}, edges=[["voucher", "ok", "a"], ["a", "next", "end"]]))
        await mara.save()
        await alex.catch_up()
        alex.remove("voucher")
        await alex.save()
        await mara.catch_up()
        mara.hear(ops(2, edges=[["a", "next", "voucher"]]))
        assert [one.path for one in mara.conflicts] == [("nodes", "voucher")]
        mara.decide("voucher", mara.context.by, True)
        assert mara.draft.edges["a", "next"] == "voucher"

    both(town, story)


def test_a_step_that_the_canvas_takes_out_while_it_is_changed_is_asked(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        await mara.catch_up()
        mara.hear(ops(gone=["voucher"], edges=[[ENTRY, "next", "end"]], cut=[["voucher", "ok"]]))
        assert mara.draft.nodes["voucher"]["name"] == "By Alex"
        assert (mara.draft.edges[ENTRY, "next"], mara.draft.edges["voucher", "ok"]) == ("voucher", "end")
        assert joins(mara)[-1]["nodes"]["voucher"]["raw"]["name"] == "By Alex"
        assert [one.path for one in mara.conflicts] == [("nodes", "voucher")]
        mara.decide("voucher", mara.context.by, True)
        assert "voucher" not in mara.draft.nodes
        assert mara.draft.edges[ENTRY, "next"] == "end"

    both(town, story)


def test_a_note_that_both_write_on_is_asked_and_one_that_is_moved_or_torn_keeps_its_text(town: Any) -> None:
    def note(text: str, x: int = 0) -> dict[str, Any]:
        return {"text": text, "x": x, "y": 0}

    async def story(mara: Editor, alex: Editor) -> None:
        mara.hear(ops(notes={id: note("Ask legal") for id in ("both", "moved", "torn")}))
        await mara.save()
        await alex.catch_up()
        seen(alex)
        alex.hear(ops(notes={"both": note("By Alex"), "moved": note("Ask legal", 50)}, torn=["torn"]))
        await alex.save()
        await mara.catch_up()
        mara.hear(ops(2, notes={id: note("By Mara") for id in ("both", "moved", "torn")}))
        assert {id: (one.text, one.x) for id, one in mara.draft.notes.items()} == {
            "both": ("By Alex", 0), "moved": ("By Mara", 50), "torn": ("By Mara", 0),
        }  # fmt: skip
        assert {id: one["text"] for id, one in joins(mara)[-1]["notes"].items()} == {"moved": "By Mara", "torn": "By Mara"}
        assert [(one.path, one.mine) for one in mara.conflicts] == [(("notes", "both", "text"), "By Mara")]

    both(town, story)


def again(editor: Editor, rev: int, **nodes: Any) -> str:
    """The whole graph of a page whose server was gone."""
    steps = {ENTRY: {"raw": editor.draft.parts}, **{id: {"raw": raw} for id, raw in {**editor.draft.nodes, **nodes}.items()}}
    edges = [[*place, to] for place, to in editor.draft.edges.items()]
    return json.dumps({"type": "resync", "n": 7, "rev": rev, "was": editor.id, "dirty": True, "nodes": steps, "edges": edges})


def test_a_page_that_was_away_hands_over_its_work_and_takes_in_what_others_saved(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        page = again(mara, mara.revision, voucher={**mara.draft.nodes["voucher"], "name": "By Mara"})
        alex.edit("end", ("name",), "The end")
        await alex.save()
        context = context_of(town, "marketer", "survey")
        other = Patient(context, fetch(context))
        other.hear(page)
        await other.save()
        assert (other.status, other.conflicts) == ("saved", [])
        assert [joined["nodes"]["end"]["set"] for joined in joins(other)] == [[[["name"], "The end"]]]

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["voucher"]["name"], document["nodes"]["end"]["name"]) == ("By Mara", "The end")


def test_what_one_s_own_page_saved_before_the_connection_broke_is_no_question(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        page = again(mara, mara.revision, voucher={**mara.draft.nodes["voucher"], "name": "Later"})
        mara.edit("voucher", ("name",), "Early")
        await mara.save()
        alex.edit("end", ("name",), "The end")
        await alex.catch_up()
        await alex.save()
        context = context_of(town, "marketer", "survey")
        other = Patient(context, fetch(context))
        other.hear(page)
        await other.save()
        assert (other.status, other.conflicts) == ("saved", [])

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["voucher"]["name"], document["nodes"]["end"]["name"]) == ("Later", "The end")


def test_a_page_that_comes_back_while_news_are_read_loses_nothing_of_them(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        page = again(mara, mara.revision, voucher={**mara.draft.nodes["voucher"], "name": "By Mara"})
        alex.edit("end", ("name",), "The end")
        await alex.save()
        context = context_of(town, "marketer", "survey")
        other = Patient(context, fetch(context))
        alex.edit(ENTRY, ("description",), "Words")
        await alex.save()
        reading = asyncio.create_task(other.catch_up())
        await asyncio.sleep(0)  # it is under way
        other.hear(page)
        await reading
        await other.save()
        assert (other.status, other.conflicts) == ("saved", [])

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["voucher"]["name"], document["nodes"]["end"]["name"]) == ("By Mara", "The end")
    assert document["description"] == "Words"


def test_a_page_that_comes_back_while_its_editor_saves_loses_nothing_of_others(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        page = again(mara, mara.revision, voucher={**mara.draft.nodes["voucher"], "name": "By Mara"})
        alex.edit("end", ("name",), "The end")
        await alex.save()
        context = context_of(town, "marketer", "survey")
        other = Patient(context, fetch(context))
        other.edit(ENTRY, ("description",), "Words")
        saving = asyncio.create_task(other.save())
        await asyncio.sleep(0)  # it is under way
        other.hear(page)
        await saving
        await other.save()
        assert other.status == "saved"

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["voucher"]["name"], document["nodes"]["end"]["name"]) == ("By Mara", "The end")


def test_a_page_that_is_ahead_of_the_database_is_asked(town: Any) -> None:
    async def story(mara: Editor, _alex: Editor) -> None:
        mara.hear(again(mara, mara.revision + 5, voucher={**mara.draft.nodes["voucher"], "name": "By Mara"}))
        await mara.save()
        assert mara.status == "conflict"
        await mara.keep_mine()
        assert mara.status == "saved"
        mara.hear(again(mara, 2**31))
        assert "graph" in mara.feed()["patches"][-1], "no database has as many revisions"

    both(town, story)
    assert stored(town)["nodes"]["voucher"]["name"] == "By Mara"


def test_who_was_away_for_more_saves_than_are_kept_is_asked_part_by_part(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        alex.edit("end", ("name",), "Long ago")
        began = alex.revision
        for number in range(drafts.KEPT + 2):
            alex.edit("voucher", ("name",), f"By Alex {number}")
            await asyncio.to_thread(alex._store, alex.draft.document(), began + number)
        mara.edit("voucher", ("name",), "By Mara")
        mara.hear(ops(nodes={"pause": {"raw": {"kind": "wait", "duration": "P2D"}}}))
        await mara.save()
        assert mara.status == "saved"
        asked = {one.path: one.mine for one in mara.conflicts}
        assert asked == {("nodes", "voucher", "name"): "By Mara", ("nodes", "end", "name"): None}
        assert "Keep it as in the draft" in str(disputes.disputes(mara))
        assert mara.draft.nodes["voucher"]["name"] == f"By Alex {drafts.KEPT + 1}"

    both(town, story)
    document = stored(town)
    assert (document["nodes"]["end"]["name"], "pause" in document["nodes"]) == ("Long ago", True)
    with town.db.read() as session:
        kept = len(session.query(drafts.DraftRevision).all())
    assert kept <= drafts.KEPT + 1


def test_what_goes_live_is_what_was_looked_over(town: Any) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        await mara.look_over()
        alex.edit("voucher", ("name",), "By Alex")
        await alex.save()
        await mara.publish("")
        assert mara.notice is not None
        assert "review again" in mara.notice[0]
        assert mara.draft.nodes["voucher"]["name"] == "By Alex"
        assert mara.live_version is None

    both(town, story)


def test_every_kind_of_conflict_is_shown_in_words(town: Any) -> None:
    found = [
        {"path": path, "mine": mine, "by": "member:x", "at": "2026-01-01T10:00:00+00:00", "over": "key:y", "over_at": ""}
        for path, mine in (
            (["nodes", "voucher"], {"raw": None, "edges": []}),
            (["nodes", "end", "name"], "The end"),
            (["nodes", "voucher", "timeout"], "PT1M"),
            (["nodes", "gone"], {"raw": {"kind": "wait", "duration": "P2D"}, "edges": []}),
            (["edges", "voucher", "ok"], None),
            (["edges", ENTRY, "next"], "end"),
            (["parts", "name"], "Other"),
            (["parts", "goal"], {"event": "Order Completed"}),
            (["parts", "exit_when"], [{"event": "Order Completed"}]),
            (["parts", "entry", "triggers"], [{"type": "manual"}]),
            (["parts", "entry", "reentry"], {"policy": "moon"}),
            (["parts", "settings", "priority"], 5),
        )
    ]

    async def story(mara: Editor, _alex: Editor) -> None:
        mara.draft.ui = {**mara.draft.ui, "conflicts": found}
        assert len(mara.conflicts) == len(found)
        for language in ("en", "de"):
            object.__setattr__(mara.context, "t", translator_of(mara.context.member, "", language))
            rows = [one for one in drawn(disputes.disputes(mara)) if one["tagName"] == "tr"]
            assert len(rows) == len(found) + len(list(drawn_articles(mara)))
        for one in list(mara.conflicts):
            mara.decide(one.place, one.by, True)
        assert mara.conflicts == []

    both(town, story)


def drawn_articles(editor: Editor) -> list[Any]:
    return [one for one in drawn(disputes.disputes(editor)) if one["tagName"] == "article"]


# Who else is inside


def inside(town: Any, role: str, id: str, key: str = "survey") -> Others:
    context = context_of(town, role, key)
    return Others(context, id, town.journey(key).id)


def names(others: Others, place: str = "") -> list[tuple[str, str]]:
    return [(one.name, one.place) for one in others.look(place).people]


@pytest.fixture
def alive(town: Any) -> Presence:
    """The web server says that it is alive."""
    presence = Presence(town.engine, "web")
    presence.beat()
    return presence


def test_each_sees_who_else_is_inside_and_where(town: Any, alive: Presence) -> None:
    mara, alex, away = inside(town, "marketer", "1"), inside(town, "admin", "2"), inside(town, "admin", "3", "welcome")
    assert names(mara, "voucher") == []
    assert names(away) == []
    assert names(alex) == [("Mara Marti", "voucher")]
    assert names(mara, "voucher") == [("Alex Admin", "")]
    names(alex, ENTRY)
    assert names(mara) == [("Alex Admin", ENTRY)]
    alex._leave()
    assert names(mara) == []


def test_who_is_only_looking_writes_nothing(town: Any, alive: Presence) -> None:
    mara = inside(town, "marketer", "1")
    names(mara, "voucher")
    written: list[str] = []
    event.listen(town.db.engine, "before_cursor_execute", lambda *arguments: written.append(arguments[2]))
    names(mara, "voucher")
    assert {one.split()[0] for one in written} <= {"BEGIN", "SELECT"}
    assert len(written) <= 4, "one look costs two questions"


def test_a_page_goes_with_its_server(town: Any, alive: Presence) -> None:
    mara, alex = inside(town, "marketer", "1"), inside(town, "admin", "2")
    names(mara)
    names(alex)
    alive.beat(datetime.now(UTC) - SILENT_AFTER - timedelta(seconds=1))
    assert names(mara) == []
    alive.leave()
    again = Presence(town.engine, "web")
    again.beat()
    other = inside(town, "admin", "4")
    assert names(other) == []
    with town.db.read() as session:
        assert [one.id for one in session.query(OpenBuilder).all()] == ["4"]


def test_a_page_that_closes_during_its_first_write_leaves_no_trace(town: Any, alive: Presence) -> None:
    mara, alex = inside(town, "marketer", "1"), inside(town, "admin", "2")

    async def story() -> None:
        loop, closed = asyncio.get_running_loop(), threading.Event()

        def close_now(*arguments: Any) -> None:
            if arguments[2].startswith("INSERT INTO open_builder") and not closed.is_set():
                loop.call_soon_threadsafe(lambda: (mara.close(), closed.set()))
                assert closed.wait(60)

        event.listen(town.db.engine, "before_cursor_execute", close_now)
        await asyncio.to_thread(mara.look, "voucher")
        event.remove(town.db.engine, "before_cursor_execute", close_now)
        await loop.shutdown_default_executor()

    asyncio.run(story())
    assert names(alex) == []
    mara._say("end")
    assert names(alex) == [], "and nothing is said of it any more"


def test_who_comes_back_takes_off_pages_of_their_own_and_of_that_journey_only(town: Any, alive: Presence) -> None:
    mara, elsewhere, alex = inside(town, "marketer", "1"), inside(town, "marketer", "2", "welcome"), inside(town, "admin", "3")
    for one in (mara, elsewhere, alex):
        names(one)
    back = inside(town, "marketer", "4")
    for id in ("3", "2", "1"):
        back.former = id
        names(back)
    with town.db.read() as session:
        assert sorted(one.id for one in session.query(OpenBuilder).all()) == ["2", "3", "4"]


def test_a_page_that_was_forgotten_is_there_again_by_itself(town: Any, alive: Presence) -> None:
    mara, alex = inside(town, "marketer", "1"), inside(town, "admin", "2")
    names(mara, "voucher")
    with town.db.write() as session:
        session.delete(session.get_one(OpenBuilder, "1"))
    names(mara, "voucher")
    names(mara, "voucher")
    assert names(alex) == [("Mara Marti", "voucher")]
    with town.db.write() as session:
        session.delete(session.get_one(OpenBuilder, "1"))
    names(mara, "end")
    assert ("Mara Marti", "end") in names(alex)


def test_who_may_not_look_any_more_vanishes(town: Any, alive: Presence) -> None:
    mara, alex = inside(town, "marketer", "1"), inside(town, "admin", "2")
    names(mara)
    assert names(alex) == [("Mara Marti", "")]
    with town.db.write() as session:
        session.get_one(Member, town.members["marketer"]).active = False
    assert names(alex) == []
    with town.db.write() as session:
        member = session.get_one(Member, town.members["marketer"])
        member.active, member.role = True, "nobody"
    assert names(alex) == []


def test_a_tab_of_one_s_own_is_said_as_such_and_ids_are_told_apart(town: Any, alive: Presence) -> None:
    async def story(mara: Editor, _alex: Editor) -> None:
        tab, other = inside(town, "marketer", "1"), inside(town, "admin", "2")
        names(tab, "voucher")
        names(other, "end")
        assert mara.salt == ""
        mara._seen(mara._others.look(""))
        assert [mara.name_of_page(one) for one in mara.people] == ["You, in another tab", "Alex Admin"]
        assert said(mara) == ["Alex Admin is here too."]
        assert mara.feed()["people"]["end"] == [{"name": "Alex Admin", "initials": "AA", "tone": mara.feed()["people"]["end"][0]["tone"]}]
        assert "at “" in str(head._people(mara))
        mara.add("wait", "voucher", "ok")
        assert f"wait_{mara.id[-3:]}" in mara.draft.nodes
        mara._seen(None)
        assert mara.feed()["people"] == {}

    both(town, story)


@pytest.mark.parametrize(("name", "short"), [("Mara Marti", "MM"), ("Kim", "KI"), ("Anna Maria van Dyk", "AD"), ("", "?")])
def test_initials(name: str, short: str) -> None:
    assert initials(name) == short


def test_an_open_page_hears_of_others_by_itself(town: Any, alive: Presence) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        heard = asyncio.Event()
        mara.listen(("feed", "head"), heard.set)
        mara.begin()
        alex.edit("end", ("name",), "The end")
        await alex.save()
        async with asyncio.timeout(60):
            while mara.draft.nodes["end"].get("name") != "The end":
                heard.clear()
                await heard.wait()
        mara.close()
        alex.close()

    both(town, story)


def test_a_publication_of_somebody_else_is_seen(town: Any, alive: Presence) -> None:
    async def story(mara: Editor, alex: Editor) -> None:
        await alex.publish("")
        mara._seen(mara._others.look(""))
        await mara.catch_up()
        assert (mara.state, mara.live_version) == ("live", alex.live_version)

    both(town, story)
