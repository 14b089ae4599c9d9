from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from journeys.topics import ENTERED, of_segment
from journeys.triggers.trigger import Happened, Phrases, Trigger
from journeys.types import Key

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class SegmentEnteredTrigger(Trigger):
    """Enters when the contact comes into a segment. Who was in it before the journey went live does not enter, nor do those whom an import or
    the first filling of the segment brings in."""

    label = "Enters a segment"
    example = {"segment": "vip"}
    event: ClassVar[str] = ENTERED

    type: Literal["segment_entered"] = "segment_entered"
    segment: Key = Field(title="Segment", json_schema_extra={"widget": "segment", "names": "segment"})

    def topics(self) -> Collection[str]:
        return (of_segment(self.segment),)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        return event.type == "system" and event.name == self.event and event.properties.get("segment") == self.segment

    @property
    def event_name(self) -> str | None:
        return self.event

    def sentence(self, t: Phrases) -> str:
        return t("When a contact enters the segment *{segment}*", segment=self.segment)
