"""A change that the product does not have: the test adds it to a copy as the recipe of CONTRIBUTING says."""

from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change, Overlaid


class Speak(Change):
    """The contact speaks this language from now on."""

    change: Literal["speak"] = "speak"
    language: str

    def overlay(self, facts: Overlaid) -> None:
        facts.set_field("locale", self.language)
