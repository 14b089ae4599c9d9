from __future__ import annotations

from typing import Literal

from journeys.topics import ENTERED
from journeys.triggers.segment import SegmentTrigger
from journeys.triggers.trigger import Phrases


class SegmentEnteredTrigger(SegmentTrigger):
    """Enters when the contact comes into a segment. Who was in it before the journey went live does not enter, nor do those whom an import or
    the first filling of the segment brings in."""

    label = "Enters a segment"
    event = ENTERED

    type: Literal["segment_entered"] = "segment_entered"

    def sentence(self, t: Phrases) -> str:
        return t("When a contact enters the segment *{segment}*", segment=self.segment)
