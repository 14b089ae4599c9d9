"""What a step or a setting names outside itself, found by the mark on its fields: `json_schema_extra={"names": "member"}`. Pure.

The mark is all a field needs to be looked up when a journey is checked; no list of kinds or fields exists elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from journeys.rules.model import Term


def noun_of(field: FieldInfo) -> str | None:
    """What a field names: member, recipient, pool, purpose, cap_class, template, journey, secret, score, node…; None: it names nothing."""
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


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{place}.{i}")


def _inside(value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _inside(inner, f"{place}.{i}")
    elif isinstance(value, BaseModel) and not isinstance(value, Term):
        yield from names_in(value, f"{place}.")
