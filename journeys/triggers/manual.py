from __future__ import annotations

from typing import Literal

from journeys.triggers.trigger import Phrases, Trigger


class ManualTrigger(Trigger):
    """Enters contacts picked in the list, by API or in bulk."""

    label = "Manually or via API"

    type: Literal["manual"] = "manual"

    def sentence(self, t: Phrases) -> str:
        return t("Added manually or via API")
