"""What earlier steps of a run have left for later ones: `steps.<node>.<field>`, in rules, copies, placeholders and templates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from journeys.catalogue import EventSpec, FieldSpec, Type, closest

STEPS = "steps."
"""Prefix of fields that read what a step has left."""

Results = Mapping[str, Type]
"""Dotted field -> type."""

_TYPES: Mapping[str, Type] = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean", "array": "list", "object": "object",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a name leads nowhere: `noun` is node or result; `near` is what was probably meant."""

    noun: str
    node: str
    name: str = ""
    near: str | None = None


def look_up(name: str, steps: Mapping[str, Results | None]) -> FieldSpec | Missing:
    """What `steps.<node>.<field>` is. `steps` says what each step leaves; None: anything."""
    node, _, field = name.removeprefix(STEPS).partition(".")
    if node not in steps:
        return Missing("node", node, near=closest(node, steps))
    results = steps[node]
    if results is None and field:
        return FieldSpec(name)
    found = EventSpec(node, results or {}).property(field) if field else None
    if found is None:
        return Missing("result", node, field, closest(field, results or {}))
    return FieldSpec(name, found.type)


def names_of(steps: Mapping[str, Results | None]) -> list[str]:
    """Every name that is known, for forms; of a step that says nothing, the beginning."""
    return [f"{STEPS}{node}.{field}" for node, results in steps.items() for field in (("",) if results is None else results)]


def results_of(schema: Mapping[str, Any]) -> Results:
    """The fields of a model's JSON schema, with their types."""
    return {name: _type(field) for name, field in schema.get("properties", {}).items()}


def _type(field: Mapping[str, Any]) -> Type:
    if field.get("format") == "date-time":
        return "datetime"
    if field.get("format") == "date":
        return "date"
    return _TYPES.get(str(field.get("type")), "any")
