"""The chapters of the journey's own form, from the models of its document."""

from __future__ import annotations

from typing import Any

from journeys.document import Journey

_SCHEMA = Journey.model_json_schema(by_alias=True)


def _chapter(name: str) -> dict[str, Any]:
    return dict(_SCHEMA["properties"][name])


DEFINITIONS: dict[str, Any] = _SCHEMA["$defs"]

JOURNEY_FORM: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("entry", "Who enters", _chapter("entry")),
    ("exit_when", "Who exits early", _chapter("exit_when")),
    ("goal", "Goal", _chapter("goal")),
    ("settings", "Settings", _chapter("settings")),
    ("about", "Name and description", {"type": "object", "properties": {"name": _chapter("name"), "description": _chapter("description")}}),
)
"""(part, title, schema); `about` gathers the parts that are plain texts."""
