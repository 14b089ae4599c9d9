"""Names that nobody asked for, in an address or a body: refused with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http import former
from journeys.catalogue import closest

MAX_SHOWN = 80
"""Characters of a name that are said back."""


@dataclass(frozen=True, slots=True)
class Stray:
    """`name` stands at `place` ("query", "body.rule.rules.0"), where only the names in `known` mean something."""

    place: str
    name: str
    known: Sequence[str]

    def issue(self) -> dict[str, str]:
        return {"place": f"{self.place}.{self.name[:MAX_SHOWN]}", "message": sentence(self.name, self.known), "code": "unknown_name"}


def sentence(name: str, known: Sequence[str]) -> str:
    """What is wrong with the name, in English."""
    shown, today = name[:MAX_SHOWN], former.field(name, known)
    if today:
        return f"There is no “{shown}” here any more: it is called “{today}” now."
    near = closest(shown, known)
    if near:
        return f"There is no “{shown}” here. Did you mean “{near}”?"
    return f"There is no “{shown}” here. Known are: {', '.join(known)}." if known else f"There is no “{shown}” here, nor anything else."


def known_at(route: Any, location: Sequence[Any]) -> list[str]:
    """The keys that the body of `route` knows where an unknown one was found; `location` is pydantic's, ending with that key."""
    body = route.body_field if isinstance(route, APIRoute) else None
    inside: Any = body.field_info.annotation if body else None
    for step in location[1:-1]:
        fields = {field.alias or name: field for model in _here(inside) for name, field in model.model_fields.items()}
        inside = fields[step].annotation if step in fields else inside
    return [field.alias or name for model in _here(inside) for name, field in model.model_fields.items()]


def models_in(annotation: Any, seen: set[type[BaseModel]] | None = None) -> set[type[BaseModel]]:
    """Every pydantic model that a value of this type may hold."""
    seen = set() if seen is None else seen
    for model in _here(annotation):
        if model not in seen:
            seen.add(model)
            for field in model.model_fields.values():
                models_in(field.annotation, seen)
    return seen


def _here(annotation: Any) -> list[type[BaseModel]]:
    """The models among the types of a union, a list, an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _here(part)]
