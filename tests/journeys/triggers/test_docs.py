"""A trigger explains itself: on its page, in its form, in both languages."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from pydantic import TypeAdapter

from journeys.triggers import TRIGGERS, AnyTrigger, ClockTrigger, Trigger
from journeys.triggers.docs import triggers_page
from tests.untranslated import wanted

ROOT = Path(__file__).parents[3]
PLACES = re.compile(r"(?<!\{)\{\w+\}(?!\})")


@pytest.fixture(scope="module")
def german() -> dict[str, str]:
    with (ROOT / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po").open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file, locale="de") if message.id and message.string}


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "triggers.md").read_text("utf-8") == triggers_page(), "run `make docs`"


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda one: one.kind())
def test_every_trigger_explains_itself(trigger: type[Trigger]) -> None:
    assert (inspect.getdoc(trigger) or "").endswith(".")
    assert trigger.__doc__ != Trigger.__doc__
    assert trigger.form()["title"] == trigger.label
    assert [name for name, field in trigger.model_fields.items() if name != "type" and not field.title] == []


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda one: one.kind())
def test_every_trigger_has_an_example_that_is_sound(trigger: type[Trigger]) -> None:
    parsed = TypeAdapter(AnyTrigger).validate_python({"type": trigger.kind(), **trigger.example})
    assert type(parsed) is trigger
    assert list(parsed.problems("")) == []


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda one: one.kind())
def test_a_trigger_speaks_german(trigger: type[Trigger], german: dict[str, str]) -> None:
    texts = [*of_form(trigger), *of_code(trigger)]
    assert len(texts) > 1
    missing = [text for text in texts if text not in german or places(text) != places(german[text])]
    assert missing == [], wanted(missing)


def of_form(trigger: type[Trigger]) -> Iterator[str]:
    yield trigger.label
    for name, field in trigger.model_fields.items():
        yield from (text for text in (field.title, field.description) if text and name != "type")
    if issubclass(trigger, ClockTrigger):
        yield trigger.coming


def of_code(trigger: type[Trigger]) -> Iterator[str]:
    """Sentences: what `t` is asked for, directly or by the name `text`, and the texts of issues."""
    for node in ast.walk(ast.parse(inspect.getsource(trigger).strip())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t":
            yield from literals(node.args[0])
        elif (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "text") or (
            isinstance(node, ast.keyword) and node.arg == "text"
        ):
            yield from literals(node.value)


def literals(node: ast.AST) -> Iterator[str]:
    yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def places(text: str) -> list[str]:
    return sorted(set(PLACES.findall(text)))
