from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change, Overlaid


class ChangeScore(Change):
    """Adds `points` (may be negative) to a score group, or sets it when `absolute`."""

    change: Literal["change_score"] = "change_score"
    group: str
    points: float
    absolute: bool = False
    reason: str = ""

    def overlay(self, facts: Overlaid) -> None:
        facts.set_score(self.group, self.points if self.absolute else facts.score(self.group) + self.points)
