"""In German: what people named stays as they named it, outlets are called in help texts as on the cards, and what is cut says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from babel import Locale

from builder_ui.builder import cards, rule_editor, suggestions, widgets
from builder_ui.builder.draft import Draft
from builder_ui.builder.lookups import Lookups
from builder_ui.kit import labels
from builder_ui.kit.i18n import Translator
from journeys.catalogue import Catalogue
from journeys.nodes import BUILT_IN
from models import Task

GERMAN = Translator("de", Locale("de"), UTC)
NAMES = {"hello": "Welcome 1"}
"""A name that the gallery translates when a journey is made of it; here somebody wrote it."""


def form(raw: Any, **more: Any) -> widgets.Form:
    return widgets.Form(
        GERMAN, Lookups(Catalogue({}, {})), "step", raw, lambda *_: None, 0, names=NAMES, kinds={"hello": "send_email"}, **more
    )


def options(element: Any) -> Iterator[str]:
    if isinstance(element, dict):
        if element["tagName"] == "option":
            yield "".join(str(child) for child in element["children"])
        for child in element.get("children", ()):
            yield from options(child)


def test_names_that_people_gave_are_not_translated() -> None:
    assert GERMAN("Welcome 1") != "Welcome 1"
    assert list(options(widgets.picker(form({"journey": "w"}), ("journey",), [("w", "Welcome 1")], False))) == ["Welcome 1 (w)"]
    rule = rule_editor.rule_field(form({"rule": {"message": "opened", "node": "hello"}}), ("rule",), False)
    assert "Welcome 1" in list(options(rule))


def texts(schema: Any) -> Iterator[str]:
    for name, value in schema.items() if isinstance(schema, dict) else ():
        if name == "description" and isinstance(value, str):
            yield value
        yield from texts(value)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_help_calls_outlets_as_the_cards_do(kind: Any) -> None:
    said = " ".join(GERMAN(text) for text in (*kind.help(), *texts(kind.form()["properties"])))
    assert [code for code, name in labels.OUTLETS.items() if GERMAN(name) != code and f"*{code}*" in said] == []


def test_a_summary_that_is_cut_says_so() -> None:
    triggers = [{"type": "event", "event": f"Something quite long number {n}"} for n in range(9)]
    summary = cards.entry_view(
        GERMAN, Draft({"spec": 1, "key": "long", "name": "Long", "entry": {"triggers": triggers}, "nodes": {}, "edges": []})
    )["summary"]
    assert len(summary) <= cards.LONGEST_SUMMARY
    assert summary.endswith("…")


def test_a_late_task_says_since_when(town: Any, log_in: Any, opened: Any) -> None:
    at = datetime.now(UTC) - timedelta(days=3)
    with town.db.write() as session:
        session.add(Task(contact_id=town.people["Anna"], title="Late", due_at=at, created_at=at))
    with opened(log_in("marketer"), "/ui/tasks?owner=all") as page:
        page.see_until("Late")
        since = page.text.split("Late", 1)[1].split("Overdue since", 1)[1].split(" (")[0].strip()
        assert not since.endswith("ago")
        assert str(at.year) in since


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("cart_id, checkout_id , order_id", ["cart_id", "checkout_id", "order_id"]),
        ("order_id", "order_id"),
        (" , ", None),
        ("", None),
        ("cart_id,checkout_id,", ["cart_id", "checkout_id"]),
    ],
)
def test_properties_of_a_key_are_typed_with_commas(typed: str, stored: Any) -> None:
    assert suggestions.read_paths(typed) == stored
    field = suggestions.paths(form({"key": stored}), ("key",))
    [shown] = [one["attributes"]["defaultValue"] for one in field["children"] if "defaultValue" in one.get("attributes", {})]
    assert suggestions.read_paths(shown) == stored


def test_a_key_of_several_properties_is_told_in_order() -> None:
    assert labels.keyed(GERMAN, ["cart_id", "checkout_id", "order_id"]) == "cart_id, sonst checkout_id, sonst order_id"
    assert labels.keyed(GERMAN, "cart_id") == "cart_id"
