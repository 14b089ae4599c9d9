"""Wherever a tag, a field, an event or a property is typed, those that there are are offered: every form of every kind of step, and of the journey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from builder_ui.builder import widgets
from builder_ui.builder.editor import Editor
from builder_ui.builder.fields import fresh_of_type
from builder_ui.builder.form import draw_object, draw_part
from builder_ui.builder.journey_form import JOURNEY_FORM
from builder_ui.builder.lookups import load
from builder_ui.builder.offers import suggestions
from builder_ui.builder.protocol import ENTRY
from builder_ui.builder.rule_editor import NEW_GROUP, rule_field
from builder_ui.kit.i18n import translator_for
from builder_ui.kit.reactpy_compat import serve
from crm.people import tags
from crm.people.profile import add_tag
from engine.versions.publish import get_journey
from journeys.nodes import BUILT_IN, Node
from journeys.nodes.send import Send
from journeys.rules.terms import TERMS
from journeys.triggers import TRIGGERS
from models import Template
from tests.builder_ui.test_builder import edited

TYPED_FREELY = {
    "name",
    "text",
    "title",
    "description",
    "subject",
    "salt",
    "url",
    "reason",
    "timezone",
    "value",
    "cron",
    "outcomes",
    "to",
    "replaces",
    "chat_channel",
}
"""What no list knows: names that an author gives, texts, addresses, channels of another system, values. `value` of a condition is chosen where the field has values."""


@pytest.fixture
def form(town: Any) -> Any:
    with town.db.write() as session:
        add_tag(session, town.people["Anna"], "vip", town.now, "test")
    with town.db.read() as session:
        known = load(session, translator_for("en"))
    return lambda target, raw: widgets.Form(translator_for("en"), known, target, raw, lambda *_: None, 0)


def inputs(model: Any) -> Iterator[dict[str, Any]]:
    if isinstance(model, dict):
        if model.get("tagName") == "input" and model["attributes"].get("type") == "text":
            yield model["attributes"]
        for child in model.get("children", ()):
            yield from inputs(child)
    elif isinstance(model, list | tuple):
        for child in model:
            yield from inputs(child)


def unaided(model: Any) -> list[str]:
    """The fields in which something is typed, nothing is offered, and which no list of ours excuses."""
    found = [one for one in inputs(model) if not one.get("list")]
    names = [[part for part in str(one.get("id", "")).split("-") if not part.isdecimal()] for one in found]
    return [str(one) for one, parts in zip(found, names, strict=True) if not parts or not {*parts[-2:]} & TYPED_FREELY]


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_a_step_offers_what_there_is(kind: type[Node], form: Any) -> None:
    for raw in ({"kind": kind.kind, **kind.example}, {"kind": kind.kind, "until": {"type": "date"}, "clear": ["a"], "remove_tags": ["b"]}):
        assert unaided(draw_object(form("step", raw), kind.form())) == []


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if issubclass(kind, Send)], ids=lambda kind: kind.kind)
def test_what_a_step_sends_stands_above_what_all_of_them_have(kind: type[Node], form: Any) -> None:
    shown = json.dumps(draw_object(form("step", {"kind": kind.kind, **kind.example}), kind.form()), default=str)
    places = {name: shown.index(f'-{name}"') for name in kind.model_fields if f'-{name}"' in shown}
    assert places.pop("template") < min(places[name] for name in ("purpose", "message_class", "topic", "hold_out"))


def test_the_journey_offers_what_there_is(form: Any) -> None:
    triggers = [fresh_of_type(one.kind(), one.form()) for one in TRIGGERS]
    entry = {"triggers": triggers, "reentry": {"policy": "per_key"}}
    raw = {"entry": entry, "exit_when": [{"event": "Order Completed"}], "goal": {"event": "Order Completed"}}
    drawn = [draw_part(form(ENTRY, raw), schema, (name,)) for name, _, schema in JOURNEY_FORM if name != "about"]
    assert unaided(drawn) == []
    offered = str(drawn)
    assert offered.count("'value': 'order_id'") == 2, "the goal's value and the exit's key are properties of its event"


FRESH = {**{term.kind: term.fresh for term in TERMS}, "rules": NEW_GROUP}


@pytest.mark.parametrize("name", FRESH)
def test_a_condition_offers_what_there_is(name: str, form: Any) -> None:
    rule = {"combinator": "and", "rules": [FRESH[name], {"event": "Order Completed", "where": {"rules": [FRESH["field"]]}}]}
    assert unaided(rule_field(form("step", {"rule": rule}), ("rule",), False)) == []


def test_the_lists_hold_tags_and_what_the_trigger_brings(town: Any) -> None:
    with town.db.write() as session:
        add_tag(session, town.people["Anna"], "vip", town.now, "test")
    drawn: list[Any] = []

    async def story(editor: Editor) -> None:
        editor.edit(ENTRY, ("entry", "triggers"), [{"type": "event", "event": "Order Completed"}])
        news: asyncio.Queue[Any] = asyncio.Queue()
        page = asyncio.create_task(serve(suggestions(editor), news.put, asyncio.Event().wait))
        drawn.append(await asyncio.wait_for(news.get(), 20))
        page.cancel()

    edited(town, story)
    said = json.dumps(drawn)
    assert '"vip"' in said
    assert '"trigger.order_id"' in said


def test_tags_are_told_once_each_and_not_too_many(town: Any) -> None:
    with town.db.write() as session:
        for first in ("Anna", "Ben"):
            for tag in ("b", "a", "c"):
                add_tag(session, town.people[first], tag, town.now, "test")
    with town.db.read() as session:
        known = tags.known(session)
        assert known == sorted({*known})
        assert {"a", "b", "c"} <= {*known}
        assert tags.known(session, 2) == known[:2]


def test_what_is_made_elsewhere_is_offered_when_somebody_comes_back(town: Any) -> None:
    """And a step that named it already has one problem less."""

    async def story(editor: Editor) -> None:
        editor.hear(json.dumps({"type": "ops", "n": 1, "nodes": {"mail": {"raw": {"kind": "send_email", "template": "thanks"}}}}))
        await editor.save()
        assert "unknown_template" in [issue.code for issue in editor.issues]
        with town.db.write() as session:
            made = session.get_one(Template, "welcome-1-hello").model_dump()
            session.add(Template(**{**made, "key": "thanks", "name": "Thanks"}))
        revision = editor.revision
        await editor.look_again()
        assert ("thanks", "Thanks") in editor.lookups.offered("template", {"channel": "email"})
        assert "unknown_template" not in [issue.code for issue in editor.issues]
        assert editor.revision == revision, "looking is no change"
        with town.db.read() as session:
            assert get_journey(session, "survey").revision == revision

    edited(town, story)
