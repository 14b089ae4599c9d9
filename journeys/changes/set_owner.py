from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change, Overlaid


class SetOwner(Change):
    """Gives the contact an owner; with `pool` the rotation of that pool moves on."""

    change: Literal["set_owner"] = "set_owner"
    owner: str
    pool: str | None = None

    def overlay(self, facts: Overlaid) -> None:
        facts.set_field("owner", self.owner)
