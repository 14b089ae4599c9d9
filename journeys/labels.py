"""What a field is called that its author left empty: titles are read from the JSON Schema that forms are drawn from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from journeys.errors import Issue, Label

EMPTY = "missing"
"""The code of every issue that says that something is not filled in yet."""

_WRITTEN = frozenset(("text", "json", "fields", "event", "field", "rule", "cron", "time", "paths", "recipients", "tags", "field_names"))
"""Widgets into which something is written; into the others it is chosen."""


@dataclass(frozen=True, slots=True)
class FieldLabel:
    """`chosen`: from a list, not written."""

    title: str
    chosen: bool = False

    def empty(self, node_id: str | None, path: str) -> Issue:
        """The issue that the field at the dotted `path` is empty."""
        text = "“{field}” is not chosen yet." if self.chosen else "“{field}” is still empty."
        return Issue(code=EMPTY, text=text, values={"field": Label(self.title)}, node_id=node_id, field=path)


def of(schema: Mapping[str, Any], path: str) -> FieldLabel | None:
    """The field at a dotted path in what `schema` describes; None where the schema has no word for it."""
    definitions, places = schema.get("$defs", {}), path.split(".")
    around: list[Mapping[str, Any]] = [schema]
    for place in places:
        around = [inner for outer in around for inner in _within(outer, place, definitions)]
    titled = [found for found in around if found.get("title")]
    if not titled:
        return None
    return FieldLabel(str(titled[0]["title"]), all(any(map(_is_chosen, _choices(one, definitions))) for one in titled))


def _within(schema: Mapping[str, Any], place: str, definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in _choices(schema, definitions):
        if place in one.get("properties", {}):
            yield one["properties"][place]
        elif place.isdecimal() and isinstance(items := one.get("items"), Mapping):
            yield items
        elif isinstance(more := one.get("additionalProperties"), Mapping):
            yield more


def _choices(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema itself and everything it may stand for; what is said beside a reference goes first."""
    yield schema
    if "$ref" in schema:
        yield from _choices(definitions.get(str(schema["$ref"]).rpartition("/")[2], {}), definitions)
    for kind in ("anyOf", "oneOf"):
        for one in schema.get(kind, ()):
            yield from _choices(one, definitions)


def _is_chosen(schema: Mapping[str, Any]) -> bool:
    named = schema.get("widget", schema.get("names"))
    return "enum" in schema or "discriminator" in schema or (named is not None and named not in _WRITTEN)


def at(data: Any, path: str) -> Any:
    """What is at a dotted path of JSON `data`; None where nothing is."""
    for place in path.split(".") if path else ():
        if isinstance(data, Mapping):
            data = data.get(place)
        elif isinstance(data, list | tuple) and place.isdecimal() and int(place) < len(data):
            data = data[int(place)]
        else:
            return None
    return data
