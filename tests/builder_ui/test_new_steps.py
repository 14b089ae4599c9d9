"""What is new is empty, says so, and holds nothing that anybody invented: every kind of step, trigger, exit and condition there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from builder_ui.builder import before, cards, fields, widgets
from builder_ui.builder.draft import Draft
from builder_ui.builder.editor import Editor
from builder_ui.builder.journey_form import JOURNEY_FORM
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.protocol import ENTRY
from builder_ui.builder.rule_editor import GROUP, NEW_GROUP, rule_field
from builder_ui.kit.i18n import Translator, translator_of
from crm.catalogue import load_catalogue
from engine.versions import publish
from journeys import unfinished
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.errors import Invalid, Issue
from journeys.nodes import BUILT_IN, Node, Palette
from journeys.reading import read
from journeys.rules.terms import TERMS
from journeys.triggers import TRIGGERS, Trigger
from models import Member
from tests.builder_ui.test_builder import context_of, edited, stored

PALETTE = Palette.built_in()
NOTHING_TO_FILL_IN = {"exit", "split", "manual", "journey"}
"""An exit ends, a split divides evenly, and whom a person or another journey puts in needs no word more."""
STRUCTURE = {"happened", "a", "b", 50, "and", "or", "=", ">=", "event", "opened", "clicked", "$last_message", "utm_source"}
"""What a new thing may hold: names of outlets and of types, shares that are even, how to compare, the first entry of a list. And what a ready step is called after."""


def languages() -> list[Translator]:
    return [translator_of(Member(name="x", email="x", locale=one, created_at=datetime.now(UTC)), "", one) for one in ("en", "de")]


def said(issues: list[Issue]) -> list[list[str]]:
    return [[issue.say(t.translate) for issue in issues] for t in languages()]


def held(raw: Any) -> Iterator[Any]:
    """Every value in some JSON."""
    if isinstance(raw, dict):
        for value in raw.values():
            yield from held(value)
    elif isinstance(raw, list | tuple):
        for value in raw:
            yield from held(value)
    elif raw not in (None, ""):
        yield raw


def errors_of_step(raw: dict[str, Any]) -> list[Issue]:
    document = {"spec": 1, "key": "j", "name": "J", "entry": {"triggers": [{"type": "manual"}]}, "start": "x", "nodes": {"x": raw}}
    found = check(read(document), PALETTE, Catalogue.built_in())
    return [issue for issue in found if issue.node_id == "x" and issue.severity == "error" and issue.code != "missing_edge"]


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_a_new_step_is_empty_and_names_what_it_needs_in_both_languages(kind: type[Node]) -> None:
    raw = cards.beginning(kind)
    assert set(held({name: value for name, value in raw.items() if name != "kind"})) <= STRUCTURE
    found = errors_of_step(raw)
    if kind.kind in NOTHING_TO_FILL_IN:
        assert found == []
        return
    english, german = said(found)
    assert found, "a new step has problems"
    assert all(issue.field for issue in found)
    assert all(one != other for one, other in zip(english, german, strict=True) if "Name" not in one)
    titles = {str(field.get("title")) for field in json.loads(json.dumps(list(titled(kind.form()))))}
    assert any(f"“{title}”" in text for text in english for title in titles) or kind.kind == "update_contact"


def titled(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            yield schema
        for value in schema.values():
            yield from titled(value)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_a_new_step_has_the_outlets_of_its_kind_and_those_that_it_names(kind: type[Node]) -> None:
    view = cards.view_of(languages()[0], PALETTE, "x", cards.beginning(kind), {})
    example = PALETTE.parse("x", {"kind": kind.kind, **kind.example})
    assert isinstance(example, Node)
    own = {
        "wait_for": ["happened", "timed_out"],
        "switch": ["a", "otherwise"],
        "wait_until": ["next"],
        "wait_for_task": ["done", "overdue"],
    }
    assert [outlet for outlet, *_ in view["outlets"]] == own.get(kind.kind, list(example.outlets()))


@pytest.mark.parametrize(
    ("kind", "ready"), [(kind, one) for kind in BUILT_IN for one in kind.ready], ids=lambda one: getattr(one, "key", None)
)
def test_a_ready_step_asks_about_the_message_before_it_and_about_none_if_there_is_none(kind: type[Node], ready: Any) -> None:
    raw = before.asking(cards.beginning(kind, ready.key), None)
    assert set(held({name: value for name, value in raw.items() if name != "kind"})) <= STRUCTURE
    complete = before.asking({**cards.beginning(kind, ready.key), **({"timeout": "P3D"} if kind.kind == "wait_for" else {})}, None)
    assert {issue.code for issue in errors_of_step(complete)} == {"missing"}
    assert "…" in cards.view_of(languages()[0], PALETTE, "x", complete, {})["summary"]


@pytest.mark.parametrize("kind", TRIGGERS, ids=lambda kind: kind.kind())
def test_a_new_trigger_is_empty_and_names_what_it_needs_in_both_languages(kind: type[Trigger]) -> None:
    raw = fields.fresh_of_type(kind.kind(), kind.form())
    assert list(held({key: value for key, value in raw.items() if key != "type"})) == []
    found = unfinished.wrong("entry", {"triggers": [raw]})
    assert bool(found) is (kind.kind() not in NOTHING_TO_FILL_IN)
    english, german = said(found)
    assert all(one != other and "“" in one for one, other in zip(english, german, strict=True))


def test_a_new_way_out_and_a_new_goal_are_empty_and_say_so() -> None:
    [exits] = [schema for name, _, schema in JOURNEY_FORM if name == "exit_when"]
    fresh = fields.fresh(("exit_when",), {"properties": {"event": {}, "rule": {}}}, [])
    assert exits["type"] == "array"
    assert fresh == {}
    document = read({"spec": 1, "key": "j", "name": "J", "exit_when": [fresh]})
    found = [issue for issue in check(document, PALETTE, Catalogue.built_in()) if issue.field == "exit_when.0.event"]
    assert said(found) == [
        ["“Event” is still empty: name an event, or write a rule instead."],
        ["„Ereignis“ ist noch leer: Nennen Sie ein Ereignis, oder schreiben Sie stattdessen eine Regel."],
    ]
    assert said(unfinished.wrong("goal", {"event": ""})) == [["“Event” is still empty."], ["„Ereignis“ ist noch leer."]]


FRESH = {**{term.kind: term.fresh for term in TERMS}, "rules": NEW_GROUP}


@pytest.mark.parametrize("name", FRESH)
def test_a_new_condition_is_empty_and_names_what_it_needs_in_both_languages(name: str) -> None:
    assert set(held(FRESH[name])) <= STRUCTURE
    found = errors_of_step({"kind": "if_else", "rule": {"combinator": "and", "rules": [FRESH[name]]}})
    english, german = said(found)
    assert found
    assert all(one != other for one, other in zip(english, german, strict=True))


def test_there_is_a_new_condition_for_every_term() -> None:
    [english, _] = languages()
    form = widgets.Form(english, Lookups(Catalogue.built_in()), "step", {"rule": {"rules": []}}, lambda *_: None, 0)
    drawn = json.dumps(rule_field(form, ("rule",), False), default=str)
    assert all(f"Add a condition: {label}" in drawn for label in (*(term.label for term in TERMS), GROUP))


def test_a_value_that_is_taken_away_is_a_problem_again() -> None:
    def term(operator: str, value: Any) -> list[str]:
        rule = {"field": "first_name", "operator": operator, "value": value}
        return [issue.code for issue in errors_of_step({"kind": "if_else", "rule": rule})]

    assert term("=", "") == term("=", None) == term("in", []) == term("contains", "") == ["missing"]
    assert term("null", None) == term("notNull", None) == term("=", "Ada") == []


# --- A draft


def test_what_is_not_finished_is_stored_as_it_was_typed_and_cannot_be_published(town: Any) -> None:
    """Left in the middle, the page is as it was when it is opened again; a stored document is always one."""

    async def story(editor: Editor) -> None:
        editor.edit(ENTRY, ("entry", "triggers"), [{"type": "event", "event": ""}, {"type": "manual"}])
        editor.edit(ENTRY, ("goal",), {"event": ""})
        await editor.save()
        assert editor.status == "saved"

    edited(town, story)
    document = stored(town)
    read(document)
    assert document["ui"]["unfinished"]["goal"] == {"event": ""}
    assert "goal" not in document
    context = context_of(town, "marketer", "survey")
    from builder_ui.builder.stored import fetch

    again = Editor(context, fetch(context))
    assert again.draft.parts["entry"]["triggers"] == [{"type": "event", "event": ""}, {"type": "manual"}]
    assert {issue.field for issue in again.issues if issue.severity == "error"} == {"entry.triggers.0.event", "goal.event"}
    with town.db.write() as session, pytest.raises(Invalid):
        publish.publish(town.engine, session, "survey", "test", "", town.now)

    async def finished(editor: Editor) -> None:
        editor.edit(ENTRY, ("entry", "triggers", 0, "event"), "Signed Up")
        editor.edit(ENTRY, ("goal",), None)
        await editor.save()

    edited(town, finished)
    assert "unfinished" not in stored(town)["ui"]
    assert stored(town)["entry"]["triggers"] == [{"type": "event", "event": "Signed Up"}, {"type": "manual"}]


def test_a_part_that_became_right_by_itself_waits_for_a_person() -> None:
    document = {"spec": 1, "key": "j", "name": "J", "ui": {"unfinished": {"goal": {"event": "Order Completed"}, "moon": 1}}}
    found = [issue.code for issue in check(read(document), PALETTE, Catalogue.built_in()) if issue.field == "goal"]
    assert found == ["unfinished"]


def test_the_card_of_the_start_says_what_is_right_already(town: Any) -> None:
    [english, _] = languages()
    raw = {"triggers": [{"type": "event", "event": "Signed Up"}, {"type": "event", "event": ""}], "reentry": {"policy": None}}
    draft = Draft({"key": "j", "name": "J", "ui": {"unfinished": {"entry": raw}}})
    assert cards.entry_view(english, draft)["summary"] == "When a contact does Signed Up · Not complete yet"


def test_a_new_journey_wants_its_re_entry_and_its_purpose_chosen(log_in: Any, town: Any, settings: Any) -> None:
    log_in("marketer").post("/ui/gallery", data={"key": "mine", "name": "Mine"}, headers={"origin": settings.public_url})

    async def story(editor: Editor) -> None:
        wanting = {issue.field: issue.message for issue in editor.issues if issue.code == "missing"}
        assert wanting == {
            "entry.reentry.policy": "“How often a contact may enter” is not chosen yet.",
            "settings.purpose": "“Consent purpose” is not chosen yet.",
        }
        editor.edit(ENTRY, ("entry", "reentry", "policy"), "after_exit")
        editor.edit(ENTRY, ("settings", "purpose"), "marketing")
        await editor.save()
        assert not [issue for issue in editor.issues if issue.code == "missing"]

    edited(town, story, key="mine")
    document = stored(town, "mine")
    assert document["settings"]["purpose"] == "marketing"
    assert document["settings"].keys() >= {"timezone", "hold_at_most"}


def test_an_order_that_lets_everybody_in_only_once_is_hinted_at(town: Any) -> None:
    def hints(policy: str, event: str) -> list[str]:
        entry = {"triggers": [{"type": "event", "event": event}], "reentry": {"policy": policy, "key": "order_id"}}
        with town.db.read() as session:
            found = check(read({"spec": 1, "key": "j", "name": "J", "entry": entry}), PALETTE, load_catalogue(session))
        return [issue.severity for issue in found if issue.code == "once_only"]

    assert hints("never", "Order Completed") == ["warning"]
    assert hints("per_key", "Order Completed") == hints("after_exit", "Order Completed") == hints("never", "Signed Up") == []


# --- The menu of steps


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("delay", {"wait", "wait_until", "wait_for", "wait_for.opened", "wait_for_task"}),
        ("verzögern", {"wait", "wait_until", "wait_for", "wait_for.opened", "wait_for_task"}),
        ("a/b", {"split"}),
        ("newsletter", {"send_email"}),
        ("zapier", {"call_webhook"}),
        ("reihum", {"assign_owner"}),
    ],
)
def test_a_step_is_found_by_its_purpose_in_english_and_by_a_german_in_both(word: str, found: set[str]) -> None:
    english, german = languages()
    offered = {one["id"]: one["words"] for one in cards.palette_of(german, PALETTE)["kinds"]}
    assert found == {id for id, words in offered.items() if word in words}
    if word.isascii() and word != "reihum":
        assert found == {one["id"] for one in cards.palette_of(english, PALETTE)["kinds"] if word in one["words"]}
