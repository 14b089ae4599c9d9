"""The chapters of the journey's own form, from the models of its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from journeys.document import Journey

Path = tuple[str | int, ...]

_SCHEMA = Journey.model_json_schema(by_alias=True)


def _chapter(name: str) -> dict[str, Any]:
    return dict(_SCHEMA["properties"][name])


DEFINITIONS: dict[str, Any] = _SCHEMA["$defs"]

JOURNEY_FORM: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("entry", "Who enters", _chapter("entry")),
    ("exit_when", "Who exits early", _chapter("exit_when")),
    ("goal", "Goal", _chapter("goal")),
    ("settings", "Settings", _chapter("settings")),
    (
        "about",
        "Name and description",
        {
            "type": "object",
            "properties": {"name": _chapter("name"), "description": _chapter("description")},
        },
    ),
)
"""(part, title, schema); `about` gathers the parts that are plain texts."""


def title_of(path: Path) -> str:
    """The title of a part of the journey, by its path in the document; an entry of a list is called as the list."""
    schema: Mapping[str, Any] = _SCHEMA
    for name in (one for one in path if isinstance(one, str)):
        schema = _inside(schema).get(name, {"title": name})
    return str(schema["title"])


def _inside(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of an object, also where there may be none, where it is one of a list, and where it is of one of several types."""
    named = [one["$ref"] for one in _faces(schema) if "$ref" in one]
    parts = [DEFINITIONS[reference.rpartition("/")[2]] for reference in named] or [schema]
    return {name: one for part in parts for name, one in part.get("properties", {}).items()}


def _faces(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    item = schema.get("items", {})
    return [schema, item, *schema.get("anyOf", ()), *item.get("oneOf", ())]
