from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from journeys.changes.change import Change


class StartJourney(Change):
    """Enrols the contact in another journey, under its own entry rules, once per `id`."""

    change: Literal["start_journey"] = "start_journey"
    id: str
    journey: str
    data: dict[str, Any] = {}

    def starts(self) -> tuple[str, Mapping[str, Any]]:
        return self.journey, self.data
