from __future__ import annotations

from typing import Literal

from journeys.topics import LEFT
from journeys.triggers.segment import SegmentTrigger
from journeys.triggers.trigger import Phrases


class SegmentLeftTrigger(SegmentTrigger):
    """Enters when the contact is no longer in a segment. Whom an import or a change of the segment's rule takes out does not enter."""

    label = "Leaves a segment"
    event = LEFT

    type: Literal["segment_left"] = "segment_left"

    def sentence(self, t: Phrases) -> str:
        return t("When a contact leaves the segment *{segment}*", segment=self.segment)
