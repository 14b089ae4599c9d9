"""What a step or a setting names outside itself, found by the mark on its fields: `json_schema_extra={"names": "member"}`. Pure.

The mark is all a field needs to be looked up when a journey is checked; no list of kinds or fields exists elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from journeys.compile import document_rules
from journeys.document import Journey
from journeys.nodes.node import Node
from journeys.rules import Group, Rule, Term, terms
from journeys.secret import Secret


def noun_of(field: FieldInfo) -> str | None:
    """What a field names: member, recipient, pool, purpose, cap_class, template, journey, secret, score, segment, node…; None: it names nothing."""
    marks = field.json_schema_extra
    noun = marks.get("names") if isinstance(marks, dict) else None
    return noun if isinstance(noun, str) else None


def names_in(part: BaseModel, path: str = "") -> Iterator[tuple[str, str, str]]:
    """(dotted field path, noun, name) of every name in a marked field, in parts inside it too. What is empty names nothing."""
    for name, field in type(part).model_fields.items():
        value, place, noun = getattr(part, name), f"{path}{field.alias or name}", noun_of(field)
        if noun is not None:
            yield from ((where, noun, text) for where, text in _texts(value, place))
        else:
            yield from _inside(value, place)


def names_in_rule(rule: Rule, path: str) -> Iterator[tuple[str, str, str]]:
    """(dotted field path, noun, name) of what the terms of a rule name; `path` is where the rule stands."""
    for place, term in terms(rule):
        yield from names_in(term, ".".join((path, *place, "")))


def names_of(node: Node) -> list[tuple[str, str, str]]:
    """(dotted field path, noun, name) of everything that a step names, in its fields and in its rules; each once."""
    asked = (found for path, rule in node.rules() for found in names_in_rule(rule, path))
    return list(dict.fromkeys((*node.references(), *names_in(node), *asked)))


def names_of_document(journey: Journey) -> list[tuple[str, str, str]]:
    """(dotted field path, noun, name) of everything that stands outside the steps: entry, exits and settings, with their rules."""
    asked = (found for _, path, rule in document_rules(journey) for found in names_in_rule(rule, path))
    return list(dict.fromkeys((*names_in(journey.entry, "entry."), *names_in(journey.settings, "settings."), *asked)))


def all_names(journey: Journey, nodes: Mapping[str, Node]) -> Iterator[tuple[str, str, str, str]]:
    """(node id or "", dotted field path, noun, name) of everything that a journey names outside itself."""
    yield from (("", *found) for found in names_of_document(journey))
    yield from ((node_id, *found) for node_id, node in nodes.items() for found in names_of(node))


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{place}.{i}")


def _inside(value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, Secret):
        yield place, "secret", value.name
    elif isinstance(value, tuple | list):
        for i, inner in enumerate(value):
            yield from _inside(inner, f"{place}.{i}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _inside(inner, f"{place}.{key}")
    elif isinstance(value, BaseModel) and not isinstance(value, Group | Term):
        yield from names_in(value, f"{place}.")
