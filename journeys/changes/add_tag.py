from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change, Overlaid


class AddTag(Change):
    """Gives the contact a tag."""

    change: Literal["add_tag"] = "add_tag"
    tag: str

    def overlay(self, facts: Overlaid) -> None:
        facts.set_tag(self.tag, True)
