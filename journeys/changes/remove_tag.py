from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change, Overlaid


class RemoveTag(Change):
    """Takes a tag away."""

    change: Literal["remove_tag"] = "remove_tag"
    tag: str

    def overlay(self, facts: Overlaid) -> None:
        facts.set_tag(self.tag, False)
