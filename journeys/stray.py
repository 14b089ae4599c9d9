"""Keys in the rules of a document that mean nothing. Reading a rule leaves them out (`rules.stray_keys`), and a typing mistake would go
unnoticed: a rule without its `within` asks about all time. Whoever takes a document from a person says them; stored ones stay readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel

from journeys.catalogue import closest
from journeys.errors import Issue
from journeys.rules.model import Group, stray_keys
from journeys.rules.terms import Term

UNKNOWN_KEY = "rule.unknown_key"
MOST_TOLD = 20
MOST_SHOWN = 80
"""Characters of a key that are said back."""


def stray_issues(read: Any, raw: Any, node_id: str | None = None) -> list[Issue]:
    """The unknown keys of every rule in `raw`, of which `read` was read: a document, or one of its steps."""
    return list(islice(_issues(read, raw, node_id), MOST_TOLD))


def _issues(read: Any, raw: Any, node_id: str | None) -> Iterator[Issue]:
    for path, rule in _rules(read, raw, ""):
        for place, key, known in stray_keys(rule, path):
            shown, near = key[:MOST_SHOWN], closest(key[:MOST_SHOWN], known)
            text = "A condition has no “{name}”. Did you mean “{near}”?" if near else "A condition has no “{name}”."
            values = {"name": shown, **({"near": near} if near else {})}
            yield Issue(code=UNKNOWN_KEY, text=text, values=values, node_id=node_id, field=f"{place}.{shown}".lstrip("."))


def _rules(read: Any, raw: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(place, JSON) of each rule; walks what was read beside what it was read of."""
    if isinstance(read, Group | Term):
        yield path, raw
    elif isinstance(read, BaseModel) and isinstance(raw, Mapping):
        for name, field in type(read).model_fields.items():
            for key in dict.fromkeys((field.alias or name, name)):
                if key in raw:
                    yield from _rules(getattr(read, name), raw[key], f"{path}.{key}".lstrip("."))
    elif isinstance(read, list | tuple) and isinstance(raw, list | tuple):
        for index, (inner, of) in enumerate(zip(read, raw, strict=False)):
            yield from _rules(inner, of, f"{path}.{index}")
