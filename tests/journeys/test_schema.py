from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from journeys.nodes import BUILT_IN, Palette
from journeys.schema import journey_schema, schema_text
from journeys.templates import gallery
from tests.journeys.graphs import documents

PUBLISHED = Path(__file__).parents[2] / "docs" / "journey.schema.json"
VALIDATOR = jsonschema_rs.validator_for(journey_schema(Palette.built_in()))


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text(Palette.built_in()), "run `make docs`"


@settings(max_examples=20, deadline=None)
@given(documents(cycles=True))
def test_sound_documents_are_valid(document: dict[str, Any]) -> None:
    VALIDATOR.validate(document)


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_the_gallery_is_valid(entry: Any) -> None:
    VALIDATOR.validate(entry.document)


@pytest.mark.parametrize("kind", [kind.kind for kind in BUILT_IN])
def test_every_kind_is_known_by_its_name(kind: str) -> None:
    document = {"key": "j", "name": "J", "nodes": {"a": {"kind": kind, "surprise": 1}}}
    assert not VALIDATOR.is_valid(document)


def test_an_unknown_kind_is_not_valid() -> None:
    assert not VALIDATOR.is_valid({"key": "j", "name": "J", "nodes": {"a": {"kind": "teleport"}}})
    assert VALIDATOR.is_valid({"key": "j", "name": "J", "nodes": {"a": {"kind": "exit"}}})


@pytest.mark.parametrize("rule", [{}, {"field": "plan"}, {"field": "plan", "operator": "matches"}, {"rules": [{"count": 1}]}])
def test_what_is_no_rule_is_not_valid(rule: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({"key": "j", "name": "J", "nodes": {"a": {"kind": "if_else", "rule": rule}}})
