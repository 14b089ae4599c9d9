from __future__ import annotations

from typing import Literal

from journeys.triggers.trigger import Phrases, Trigger


class JourneyTrigger(Trigger):
    """Enters when another journey's `start_journey` step names this one."""

    label = "Sent by another journey"

    type: Literal["journey"] = "journey"

    def sentence(self, t: Phrases) -> str:
        return t("Sent by another journey")
