from __future__ import annotations

from typing import Any, Literal

from journeys.changes.change import Change, Overlaid


class SetFields(Change):
    """Contact fields to write; None clears."""

    change: Literal["set_fields"] = "set_fields"
    fields: dict[str, Any]

    def overlay(self, facts: Overlaid) -> None:
        for name, value in self.fields.items():
            facts.set_field(name, value)
