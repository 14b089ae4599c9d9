"""The builder's server side without a browser: what it believes, what it stores, what its forms write, and what the canvas is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from activities.providers import Outbox
from activities.sending.messages import MessageSettings as Sender
from activities.tracking import Tracking
from builder_ui.builder import canvas_texts, durations, lookups, widgets
from builder_ui.builder.draft import Draft, at, replaced
from builder_ui.builder.editor import Editor
from builder_ui.builder.form import draw_object
from builder_ui.builder.panel import panel
from builder_ui.builder.protocol import ENTRY, MessageReader, Ops
from builder_ui.builder.shares import even
from builder_ui.builder.stored import fetch
from builder_ui.kit.context import AppContext, PageContext, Post
from builder_ui.kit.i18n import translator_for, translator_of
from builder_ui.kit.reactpy_compat import serve
from engine.versions import publish
from journeys.errors import Issue
from models import Member
from tests.builder_ui.logins import login_of

SOURCES = Path(__file__).parents[2] / "builder_ui" / "frontend" / "src"


def context_of(town: Any, role: str, key: str) -> PageContext:
    with town.db.read() as session:
        member = session.get_one(Member, town.members[role])
    login = login_of(member)
    sender = Sender(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")
    post = Post(sender, lambda: Outbox(town.db, town.engine.clock.now))
    app = AppContext(town.engine, login, lambda _wakeups: None, "http://127.0.0.1", post=post)
    return PageContext(app, member, "token", translator_of(member, "", "en"), f"/ui/journeys/{key}/edit", {"key": key})


class Patient(Editor):
    """An open builder that stores when the test says so, however slow the machine is."""

    save_after = 3600.0


def edited(town: Any, story: Callable[[Editor], Coroutine[Any, Any, None]], role: str = "marketer", key: str = "survey") -> Editor:
    """Runs a story with an open builder."""
    context = context_of(town, role, key)

    async def run() -> Editor:
        editor = Patient(context, fetch(context))
        await story(editor)
        return editor

    return asyncio.run(run())


def ops(n: int = 1, **changes: Any) -> str:
    return json.dumps({"type": "ops", "n": n, **changes})


def stored(town: Any, key: str = "survey") -> dict[str, Any]:
    with town.db.read() as session:
        return dict(publish.get_journey(session, key).draft)


def test_what_the_canvas_says_is_stored_and_the_card_comes_back(town: Any) -> None:
    async def story(editor: Editor) -> None:
        step = {"raw": {"kind": "wait", "duration": "P2D"}, "x": 10, "y": 20}
        editor.hear(ops(nodes={"pause": step}, edges=[["voucher", "ok", "pause"], ["pause", "next", "end"]]))
        await editor.save()

    editor = edited(town, story)
    document = stored(town)
    assert document["nodes"]["pause"] == {"kind": "wait", "duration": "P2D"}
    assert {"from": "pause", "outlet": "next", "to": "end"} in document["edges"]
    assert document["ui"]["positions"]["pause"] == {"x": 10, "y": 20}
    assert editor.feed()["patches"][0]["nodes"]["pause"]["view"]["summary"] == "2 days"
    assert editor.feed()["saved"] == {"rev": 2, "op": 1, "all": True}


def test_the_canvas_hears_with_a_change_of_the_panel_that_it_is_not_stored_yet(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.edit("voucher", ("name",), "Mine")
        feed = editor.feed()
        assert feed["patches"][-1]["nodes"]["voucher"]["raw"]["name"] == "Mine"
        assert feed["saved"] == {"rev": 1, "op": 0, "all": False}
        await editor.save()
        assert editor.feed()["saved"] == {"rev": 2, "op": 0, "all": True}

    edited(town, story)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "[]",
        "{",
        '{"type":"ops"}',
        '{"type":"ops","n":1,"nodes":{"a b":{"raw":{"kind":"wait"}}}}',
        '{"type":"ops","n":1,"nodes":{"a":{"raw":{}}}}',
        '{"type":"ops","n":1,"nodes":{"a":{"raw":{"kind":"wait","duration":"\\u0000"}}}}',
        '{"type":"piece","id":1,"at":3,"of":9,"text":"x"}',
        '{"type":"ops","n":1,"edges":[["a","b"]]}',
        "[" * 100_000,
        None,
        7,
    ],
)
def test_nonsense_changes_nothing_and_the_canvas_is_set_right(town: Any, nonsense: object) -> None:
    async def story(editor: Editor) -> None:
        before = editor.draft.document()
        editor.hear(nonsense)
        assert editor.draft.document() == before
        assert editor.feed()["patches"][-1]["graph"]["nodes"].keys() == {ENTRY, "voucher", "end"}

    edited(town, story)


def test_a_question_is_answered_once_all_before_it_is_heard_and_before_it_is_stored(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.edit("voucher", ("name",), "Asked")
        editor.hear('{"type":"ping","n":7}')
        assert editor.feed()["pong"] == 7
        assert editor.feed()["saved"]["all"] is False
        await editor.save()
        assert editor.feed()["saved"]["all"] is True
        editor.close()

    edited(town, story)


def test_a_badge_counts_problems_and_hints_apart_and_says_the_worse_first(town: Any) -> None:
    async def story(editor: Editor) -> None:
        hint = Issue(code="hint", node_id="voucher", text="A hint.", severity="warning")
        wrong = Issue(code="wrong", node_id="voucher", text="Wrong.")
        for issues, said in (([hint, wrong, hint], "1 problem, 2 hints"), ([hint], "1 hint"), ([wrong, wrong], "2 problems")):
            editor.issues = issues
            assert editor.problems()["voucher"]["said"] == said
        editor.issues = [hint, wrong]
        assert editor.problems()["voucher"] == {"said": "1 problem, 1 hint", "severity": "error", "text": "Wrong."}

    edited(town, story)


def test_the_builder_knows_whether_what_it_shows_is_live(town: Any) -> None:
    async def story(editor: Editor) -> None:
        assert not editor.unpublished
        editor.edit(ENTRY, ("description",), "Other")
        assert editor.unpublished
        await editor.save()
        assert editor.unpublished
        await editor.publish("")
        assert not editor.unpublished
        editor.close()

    edited(town, story, key="welcome")
    edited(town, _is_never_published)


async def _is_never_published(editor: Editor) -> None:
    editor.edit(ENTRY, ("description",), "Other")
    assert not editor.unpublished


def test_whoever_may_only_read_changes_nothing(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.hear(ops(gone=["voucher"]))
        editor.edit("voucher", ("name",), "Hacked")
        editor.remove("voucher")
        editor.add("wait", ENTRY, "next")
        await editor.save()
        assert editor.draft.nodes.keys() == {"voucher", "end"}

    before = stored(town)
    edited(town, story, role="viewer")
    assert stored(town) == before


def test_a_lost_role_is_noticed_when_saving(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.context.member.role = "viewer"
        editor.hear(ops(gone=["voucher"]))
        assert "voucher" in editor.draft.nodes

    edited(town, story)


def test_an_ended_session_is_no_lost_role_and_the_canvas_keeps_what_is_not_stored(town: Any) -> None:
    before = stored(town)

    async def story(editor: Editor) -> None:
        nobody = login_of(None)
        member, editor.context = editor.context, replace(editor.context, app=replace(editor.context.app, login=nobody))
        editor.edit("voucher", ("name",), "Later")
        await editor.save()
        assert editor.status == "out"
        assert editor.editable, "what is done now is handed over after logging in"
        assert editor.feed()["saved"]["op"] == -1, "the panel's change is not stored, so the canvas keeps it as its own"
        await editor.publish("")
        assert editor.notice == ("You are logged out.", False)
        assert stored(town) == before
        editor.context = member
        await editor.save()
        assert (editor.status, editor.feed()["saved"]["op"]) == ("saved", 0)

    edited(town, story)
    assert stored(town)["nodes"]["voucher"]["name"] == "Later"


def test_another_step_s_news_leave_the_open_form_alone(town: Any) -> None:
    """A form that is drawn anew loses what is being typed into it."""

    async def story(editor: Editor) -> None:
        editor.hear(json.dumps({"type": "select", "ids": ["voucher"]}))
        editor.hear(ops(nodes={"pause": {"raw": {"kind": "wait", "duration": "P2D"}, "x": 10, "y": 20}}))
        assert editor.generation == 0
        editor.hear(ops(2, nodes={"voucher": {"raw": {**editor.draft.nodes["voucher"]}, "x": 30, "y": 40}}))
        assert editor.generation == 0
        editor.hear(ops(3, nodes={"voucher": {"raw": {**editor.draft.nodes["voucher"], "name": "Undone"}}}))
        assert editor.generation == 1

    edited(town, story)


def test_a_problem_that_comes_up_takes_no_field_and_no_button_away(town: Any) -> None:
    """What is saved is checked a moment later: a press or a text on its way then must still find its handler."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    drawn: list[Any] = []

    async def story(editor: Editor) -> None:
        editor.hear(json.dumps({"type": "select", "ids": ["voucher"]}))
        page = asyncio.create_task(serve(panel(editor), news.put, asyncio.Event().wait))
        drawn.append(await asyncio.wait_for(news.get(), 20))
        both = [Issue(code=code, text="Nothing follows.", node_id="voucher") for code in ("missing_edge", "odd")]
        editor.issues = both
        editor.tell("panel")
        drawn.append(await asyncio.wait_for(news.get(), 20))
        page.cancel()

    edited(town, story)
    before, after = (targets(message["model"]) for message in drawn)
    assert len(before) > 4
    assert before == after
    assert json.dumps(drawn[1]).count("Nothing follows.") == 2


def targets(model: Any) -> list[str]:
    """Where the browser sends what happens to fields and buttons."""
    own = [handler["target"] for handler in model.get("eventHandlers", {}).values()]
    return own + [target for child in model.get("children", ()) if isinstance(child, dict) for target in targets(child)]


def test_a_long_journey_chooses_a_step_in_small_messages(log_in: Any, opened: Any, town: Any) -> None:
    names = [f"step_{n}" for n in range(200)]
    nodes = {id: {"kind": "wait", "name": f"Waiting number {id}", "duration": "P1D"} for id in names}
    edges = [{"from": one, "outlet": "next", "to": other} for one, other in pairwise([*names, "end"])]
    document = {"spec": 1, "key": "long", "name": "Long", "start": names[0], "nodes": {**nodes, "end": {"kind": "exit"}}, "edges": edges}
    with town.db.write() as session:
        publish.create_journey(session, document, "test", town.now)
    with opened(log_in("marketer"), "/ui/journeys/long/edit") as page:
        [target] = [node["eventHandlers"]["onEvent"]["target"] for node in page.nodes() if node.get("tagName") == "Canvas"]
        page.send({"type": "layout-event", "target": target, "data": [json.dumps({"type": "select", "ids": ["step_7"]})]})
        followed = False
        while not followed:
            page.see()
            assert len(json.dumps(page.update)) < 5_000
            followed = any(node.get("tagName") == "Follow" and node["attributes"]["step"] == "step_7" for node in page.nodes())


def test_a_long_message_comes_in_pieces() -> None:
    whole = ops(nodes={"a": {"raw": {"kind": "wait", "name": "x" * 50_000}}})
    ear = MessageReader()
    pieces = [whole[start : start + 20_000] for start in range(0, len(whole), 20_000)]
    heard = [ear.hear(json.dumps({"type": "piece", "id": 1, "at": n, "of": len(pieces), "text": text})) for n, text in enumerate(pieces)]
    assert heard[:-1] == [None] * (len(pieces) - 1)
    assert isinstance(heard[-1], Ops)


def test_a_way_out_with_a_new_name_keeps_its_edge_and_one_that_is_gone_loses_it(town: Any) -> None:
    async def story(editor: Editor) -> None:
        arms = [{"name": name, "percent": share} for name, share in (("a", 50), ("b", 30), ("c", 20))]
        steps = {"split": {"raw": {"kind": "split", "arms": arms}}}
        editor.hear(ops(nodes=steps, edges=[["split", "a", "end"], ["split", "b", "voucher"]]))
        editor.edit("split", ("arms", 0, "name"), "red")
        assert editor.draft.edges["split", "red"] == "end"
        editor.edit("split", ("arms",), [{"name": "red", "percent": 80}, {"name": "c", "percent": 20}])
        assert ("split", "b") not in editor.draft.edges

    edited(town, story)


def test_a_trigger_that_is_not_complete_is_kept_on_the_page_and_not_stored(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.edit(ENTRY, ("entry", "triggers"), [{"type": "event"}])
        editor.edit(ENTRY, ("name",), "Another name")
        await editor.save()
        assert any((issue.field or "").startswith("entry.triggers.0") for issue in editor.issues)
        assert stored(town)["name"] == "Another name"
        assert stored(town)["entry"]["triggers"][0]["type"] == "date"
        editor.edit(ENTRY, ("entry", "triggers", 0, "event"), "Signed Up")
        await editor.save()

    edited(town, story)
    assert stored(town)["entry"]["triggers"] == [{"type": "event", "event": "Signed Up"}]


def test_a_page_from_before_a_restart_hands_over_its_work(town: Any) -> None:
    graph = {"nodes": {ENTRY: {"raw": stored(town) | {}}, "end": {"raw": {"kind": "exit"}}}, "edges": [[ENTRY, "next", "end"]]}
    again = {"type": "resync", "n": 7, "rev": 1, "dirty": True, "laid": True, "gone": [], "cut": [], **graph}

    async def story(editor: Editor) -> None:
        editor.hear(json.dumps(again))
        await editor.save()
        assert editor.status == "saved"
        assert editor.feed()["saved"]["op"] == 7

    edited(town, story)
    assert stored(town)["nodes"] == {"end": {"kind": "exit"}}
    assert stored(town)["start"] == "end"

    async def late(editor: Editor) -> None:
        editor.hear(json.dumps({**again, "nodes": {**again["nodes"], "more": {"raw": {"kind": "exit"}}}}))
        await editor.save()
        assert editor.status == "saved"

    edited(town, late)
    assert stored(town)["nodes"] == {"end": {"kind": "exit"}, "more": {"kind": "exit"}}


@pytest.mark.parametrize("late", [False, True])
def test_the_last_words_of_a_page_s_own_editor_are_no_conflict(town: Any, late: bool) -> None:
    """The connection broke before the answer to a save: the page does not know of it, and the next editor may not either."""
    again = {"type": "resync", "n": 7, "rev": 1, "dirty": True, "laid": True, "gone": [], "cut": []}
    graph = {"nodes": {ENTRY: {"raw": stored(town) | {}}, "more": {"raw": {"kind": "exit"}}}, "edges": [[ENTRY, "next", "more"]]}

    async def story(_: Editor) -> None:
        context = context_of(town, "marketer", "survey")
        former = Editor(context, fetch(context))
        former.edit("voucher", ("name",), "Last words")
        early = None if late else await former.save()
        editor = Editor(context, fetch(context))
        if late:
            early = await former.save()
        editor.hear(json.dumps({**again, **graph, "was": former.id}))
        await editor.save()
        await editor.save()
        assert (early, editor.status) == (None, "saved")

    edited(town, story)
    assert stored(town)["nodes"] == {"more": {"kind": "exit"}}


def test_publishing_says_first_what_it_does(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.edit("voucher", ("name",), "Voucher, anew")
        await editor.look_over()
        assert editor.review is not None
        assert any("voucher" in change for change in editor.review.changes)
        assert editor.review.inside == 2
        assert editor.review.ahead is not None
        assert editor.review.ahead[0].text == "Publishing itself enrols no one and sends nothing."
        assert editor.review.ahead[1].text.startswith("Next contacts by date")
        await editor.publish("a note")
        assert editor.live_version == 2

    edited(town, story, key="birthday")
    assert town.journey("birthday").live_version == 2


def test_what_has_errors_does_not_go_live(town: Any) -> None:
    async def story(editor: Editor) -> None:
        editor.connect("voucher", "ok", "")
        await editor.look_over()
        assert editor.review is not None
        assert editor.review.errors
        await editor.publish("")
        assert editor.notice is not None
        assert not editor.notice[1]

    edited(town, story)
    assert town.journey("survey").live_version is None


def test_every_kind_has_a_form_that_draws(town: Any) -> None:
    async def story(editor: Editor) -> None:
        from builder_ui.builder import cards, panel

        for kind in town.engine.palette:
            editor.draft.nodes["x"] = cards.beginning(kind, editor.lookups)
            editor._look()
            assert panel.step_panel(editor, "x")["tagName"] == "div"
        for chapter in ("entry", "exit_when", "goal", "settings", "about"):
            editor.chapter = chapter
            assert panel.journey_panel(editor)["tagName"] == "div"

    edited(town, story)


def drawn(element: Any) -> Iterator[dict[str, Any]]:
    """Every element in an element."""
    if isinstance(element, list | tuple):
        for one in element:
            yield from drawn(one)
    elif isinstance(element, dict):
        yield element
        yield from drawn(element.get("children", ()))


def named(elements: Iterable[dict[str, Any]], label: str) -> dict[str, Any]:
    [found] = [one for one in elements if one.get("attributes", {}).get("aria-label") == label]
    return found


def test_a_header_is_a_text_or_names_a_secret(town: Any) -> None:
    """The form as a marketer has it: no way to a new secret, only names. A prefix keeps its blank."""
    with town.db.read() as session:
        known = lookups.load(session, translator_for("en"))
    known = replace(known, choices={**known.choices, "secret": [("crm", "crm"), ("erp", "erp")]})
    raw: dict[str, Any] = {"kind": "call_webhook", "url": "https://crm.example.com/", "headers": {"Authorization": "x"}}
    issue = Issue(code="unknown_secret", text="There is no secret “{name}”.", values={"name": "cmr"}, field="headers.Authorization.secret")

    def edit(path: Any, value: Any, _moved: bool) -> None:
        raw.update(replaced(raw, path, value))

    def fields() -> list[dict[str, Any]]:
        form = widgets.Form(translator_for("en"), known, "hook", raw, edit, 1, issues={"headers.Authorization.secret": [issue]})
        return list(drawn(draw_object(form, town.engine.palette["call_webhook"].form())))

    def change(label: str, event: str, value: str) -> None:
        handler = named(fields(), label)["eventHandlers"][event]
        asyncio.run(handler.function([{"target": {"value": value}}]))

    change("Text or secret", "onChange", "secret")
    change("Secret", "onChange", "erp")
    assert raw["headers"] == {"Authorization": {"secret": "erp", "prefix": "Bearer "}}
    change("Prefix", "onBlur", "Token ")
    assert raw["headers"] == {"Authorization": {"secret": "erp", "prefix": "Token "}}
    assert "There is no secret “cmr”." in str(fields())
    change("Header", "onBlur", "X-Key")
    change("Text or secret", "onChange", "text")
    change("Value", "onBlur", "abc")
    assert raw["headers"] == {"X-Key": "abc"}


@pytest.mark.parametrize(
    ("text", "count", "unit", "back"),
    [
        ("P3D", 3, "D", "P3D"),
        ("P14D", 2, "W", "P14D"),
        ("PT1H", 1, "H", "PT1H"),
        ("PT90M", 90, "M", "PT90M"),
        ("PT45S", 45, "S", "PT45S"),
        ("-P3D", 3, "D", "-P3D"),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, count: int, unit: str, back: str) -> None:
    assert durations.in_units(text)[:2] == (count, unit)
    assert durations.iso(count, unit, text.startswith("-")) == back


def test_shares_add_up_to_a_hundred() -> None:
    for number in range(1, 21):
        assert round(sum(arm["percent"] for arm in even([{"name": str(n)} for n in range(number)])), 6) == 100


def test_a_value_is_set_deep_inside_and_the_original_stays() -> None:
    before = {"cases": [{"rule": {"rules": [{"field": "a"}]}}]}
    after = replaced(before, ("cases", 0, "rule", "rules", 0, "field"), "b")
    assert at(after, ("cases", 0, "rule", "rules", 0, "field")) == "b"
    assert at(before, ("cases", 0, "rule", "rules", 0, "field")) == "a"
    assert replaced({"a": 1, "b": 2}, ("a",), None) == {"b": 2}


def test_a_draft_goes_through_the_builder_unchanged(town: Any) -> None:
    for key in ("welcome", "cart_abandonment", "mql_to_sql", "re_engagement"):
        document = stored(town, key)
        same = Draft(document).document()
        for name in ("nodes", "entry", "start", "name", "key"):
            assert same.get(name) == document.get(name)
        assert len(same["edges"]) == len(document["edges"])


def test_every_text_of_the_canvas_is_handed_in() -> None:
    source = "".join(file.read_text() for file in SOURCES.glob("*.jsx"))
    said = {*re.findall(r'\bt\("((?:[^"\\])+)"', source), *re.findall(r'\["[^"]+", "([^"]+)"\]', source)}
    assert said == set(canvas_texts.CANVAS)
