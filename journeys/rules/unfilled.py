"""What a condition still wants: a value to compare with, or a condition in a group. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from journeys.errors import Issue
from journeys.labels import FieldLabel

VALUE = FieldLabel("Value")
_NO_VALUE = ("null", "notNull")
"""Operators that compare with nothing."""


def wants_value(operator: object, value: Any) -> bool:
    """Whether a comparison lacks what it compares with; of two bounds, one."""
    if operator in _NO_VALUE:
        return False
    if operator == "between" and isinstance(value, list | tuple):
        return len(value) != 2 or any(one in (None, "") for one in value)
    return value in (None, "", [], ())


def unfilled(data: Any, node_id: str | None, path: str = "") -> Iterator[Issue]:
    """The same for the JSON of a step or a part of a journey, wherever rules are in it: also of what cannot be read yet."""
    if isinstance(data, Mapping):
        if "field" in data and "operator" in data and wants_value(data["operator"], data.get("value")):
            yield VALUE.empty(node_id, _join(path, "value"))
        for key, inner in data.items():
            yield from unfilled(inner, node_id, _join(path, str(key)))
    elif isinstance(data, list | tuple):
        for place, inner in enumerate(data):
            yield from unfilled(inner, node_id, _join(path, str(place)))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
