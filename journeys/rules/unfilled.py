"""What a condition still wants, such as a value to compare with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from journeys.errors import Issue
from journeys.rules.terms import TERMS


def unfilled(data: Any, node_id: str | None, path: str = "") -> Iterator[Issue]:
    """What the terms lack in the JSON of a step or a part of a journey, wherever rules are in it: also in what cannot be read yet."""
    if isinstance(data, Mapping):
        for term in TERMS:
            if term.kind in data:
                yield from (label.empty(node_id, _join(path, key)) for key, label in term.unfilled(data))
        for key, inner in data.items():
            yield from unfilled(inner, node_id, _join(path, str(key)))
    elif isinstance(data, list | tuple):
        for place, inner in enumerate(data):
            yield from unfilled(inner, node_id, _join(path, str(place)))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
