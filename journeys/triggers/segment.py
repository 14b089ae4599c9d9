from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from journeys.topics import of_segment
from journeys.triggers.trigger import Happened, Trigger
from journeys.types import Key

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class SegmentTrigger(Trigger):
    """What the triggers on a segment share: they fire on our own `event` about it."""

    example = {"segment": "vip"}
    event: ClassVar[str]

    segment: Key = Field(title="Segment", json_schema_extra={"widget": "segment", "names": "segment"})

    def topics(self) -> Collection[str]:
        return (of_segment(self.segment),)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        return event.type == "system" and event.name == self.event and event.properties.get("segment") == self.segment

    @property
    def event_name(self) -> str | None:
        return self.event
