"""`Change`: what a step does to our own tables, as a value.

A change is one file here and one file of the same name that writes it: in `crm/changes` for what belongs to a contact, in
`engine/changes` for what starts or ends runs. Here is its shape, and how it looks to later steps before anybody has written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from journeys.types import Value


class Overlaid(Protocol):
    """A contact's facts on which a change can be laid; nothing is written."""

    def score(self, group: str) -> float: ...
    def set_field(self, name: str, value: Any) -> None: ...
    def set_tag(self, tag: str, given: bool) -> None: ...
    def set_score(self, group: str, points: float) -> None: ...


class Change(Value):
    """One change. Subclasses give `change` a literal of their own, which is the name of their files."""

    change: str

    @classmethod
    def kind(cls) -> str:
        return str(cls.model_fields["change"].default)

    def starts(self) -> tuple[str, Mapping[str, Any]] | None:
        """(key, data) of the journey that it enrols the contact in; None for changes that begin nothing."""
        return None

    def overlay(self, facts: Overlaid) -> None:
        """Lays it on top of the facts. What is no fact of a contact, such as a task, leaves no mark."""
