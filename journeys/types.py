"""The small types that documents and the values of nodes are made of."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from journeys.spelling import one_line


class Part(BaseModel):
    """A piece of a document: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(BaseModel):
    """What nodes and the engine hand each other: frozen, and JSON and back without loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _spelt(name: object) -> object:
    return one_line(name) if isinstance(name, str) else name


Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
EventName = Annotated[str, BeforeValidator(_spelt), Field(min_length=1, max_length=200)]
"""The name of an event, spelt as events are stored."""
Span = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=1830))]
"""A duration as ISO 8601 text ("PT1H", "P3D"), at most five years."""
