"""What forms offer has words: every field of the journey's own form a title, every choice of a `Literal` a text, both in German."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

from activities.providers.registry import Providers
from builder_ui.builder.fields import AS_THEY_ARE, CHOICES
from builder_ui.builder.journey_form import title_of
from builder_ui.kit.labels import ROLE_NAMES
from builder_ui.settings import fields as settings_form
from journeys.channels import CHANNELS
from journeys.document import Edge, Exit, Goal, Journey
from journeys.nodes import BUILT_IN
from journeys.rules.model import Group
from journeys.rules.terms import TERMS
from journeys.triggers import TRIGGERS
from locales import translator
from workspace.settings import SETTINGS

NOT_OFFERED = frozenset({"kind", "type", "spec"})
"""Fields that say what an object is."""
OUTSIDE = (Edge, Group, *TERMS.all)
"""Not in forms: drawn on the canvas, or by the rule editor from shapes that have words of their own."""


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        if not isinstance(one, str):
            yield from models(one)


def choices_in(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (str(one) for one in get_args(annotation) if isinstance(one, str))
    for one in get_args(annotation):
        if not isinstance(one, str):
            yield from choices_in(one)


def offered(model: type[BaseModel], seen: set[type] | None = None) -> Iterator[tuple[str, str]]:
    """(field, choice) of a model and of the models in it."""
    seen = {*OUTSIDE} if seen is None else seen
    seen.add(model)
    for name, field in model.model_fields.items():
        if name not in NOT_OFFERED:
            yield from ((f"{model.__name__}.{name}", one) for one in choices_in(field.annotation))
            for inner in models(field.annotation):
                if inner not in seen:
                    yield from offered(inner, seen)


FORMS = (Journey, *BUILT_IN, *TRIGGERS)


@pytest.mark.parametrize("model", FORMS, ids=lambda model: model.__name__)
def test_every_choice_of_a_form_has_words(model: type[BaseModel]) -> None:
    assert [(place, one) for place, one in offered(model) if one not in CHOICES and one not in AS_THEY_ARE] == []


def test_choices_are_found_and_words_are_needed() -> None:
    """The walk finds what a form offers, also in a part of a part, and no word is left over."""

    class Inner(BaseModel):
        tone: Literal["loud"] | None = None

    class Outer(BaseModel):
        kind: Literal["outer"] = "outer"
        inner: tuple[Inner, ...] = Field(())

    assert list(offered(Outer)) == [("Inner.tone", "loud")]
    used = {one for model in FORMS for _, one in offered(model)}
    assert used == {*CHOICES, *AS_THEY_ARE}


def test_every_choice_of_the_settings_has_words() -> None:
    found = {one for model in SETTINGS.values() for _, one in offered(model)}
    known = {*settings_form.CHOICES, *CHANNELS, *ROLE_NAMES, *map(str, settings_form.DAYS)}
    assert found - known == set()


@pytest.mark.parametrize("kind", list(Providers.built_in()), ids=lambda kind: kind.name)
def test_every_choice_of_a_provider_account_has_words(kind: Any) -> None:
    for name, schema in kind.Config.model_json_schema()["properties"].items():
        assert set(schema.get("enum", ())) <= set(schema.get("words", {})), name


def parts(model: type[BaseModel], seen: set[type]) -> Iterator[type[BaseModel]]:
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in models(field.annotation):
            if inner not in seen and inner not in (*OUTSIDE, *TRIGGERS):
                yield from parts(inner, seen)


DRAWN_ELSEWHERE = frozenset({"spec", "key", "start", "nodes", "edges", "ui"})
"""Parts of the document that are in no form."""


@pytest.mark.parametrize("model", list(parts(Journey, set())), ids=lambda model: model.__name__)
def test_every_field_of_the_journeys_form_has_a_title_in_german(model: type[BaseModel]) -> None:
    german = translator("de")
    for name, field in model.model_fields.items():
        if model is Journey and name in DRAWN_ELSEWHERE:
            continue
        assert field.title, name
        assert german(field.title) != field.title or field.title in ("Name",), field.title
        assert not field.description or german(field.description) != field.description, name


def test_words_of_choices_are_german() -> None:
    german = translator("de")
    assert [text for text in CHOICES.values() if german(text) == text] == ["Marketing", "normal"], "the same in both languages"


@pytest.mark.parametrize(
    ("path", "title"),
    [
        (("entry",), "Who enters"),
        (("settings", "message_class"), "Class"),
        (("settings", "quiet_hours", "start"), "From"),
        (("entry", "reentry", "window"), "Within"),
        (("entry", "triggers", 0, "event"), "Event"),
        (("exit_when", 0, "match_key"), Exit.model_fields["match_key"].title),
        (("goal", "value"), Goal.model_fields["value"].title),
        (("settings", "something_newer"), "something_newer"),
    ],
)
def test_a_part_of_the_document_has_the_title_of_its_field(path: tuple[str | int, ...], title: str) -> None:
    assert title_of(path) == title
