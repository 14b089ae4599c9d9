from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change


class EndJourney(Change):
    """Ends every open run of the contact in the named journey (never the one that says so)."""

    change: Literal["end_journey"] = "end_journey"
    journey: str
