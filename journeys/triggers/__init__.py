"""What lets contacts in. A new trigger is one file in this folder and its name in this list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from journeys.triggers.attribute import AttributeTrigger
from journeys.triggers.date import DateTrigger
from journeys.triggers.event import EventTrigger
from journeys.triggers.journey import JourneyTrigger
from journeys.triggers.manual import ManualTrigger
from journeys.triggers.schedule import ScheduleTrigger
from journeys.triggers.score import ScoreTrigger
from journeys.triggers.segment_entered import SegmentEnteredTrigger
from journeys.triggers.segment_left import SegmentLeftTrigger
from journeys.triggers.trigger import ClockTrigger, Everyone, Phrases, Trigger, WithDay

TRIGGERS: tuple[type[Trigger], ...] = (
    EventTrigger,
    AttributeTrigger,
    DateTrigger,
    ScheduleTrigger,
    ManualTrigger,
    ScoreTrigger,
    SegmentEnteredTrigger,
    SegmentLeftTrigger,
    JourneyTrigger,
)
"""In the order in which the builder shows them."""

BY_KIND: Mapping[str, type[Trigger]] = {one.kind(): one for one in TRIGGERS}

if TYPE_CHECKING:
    AnyTrigger = Trigger
else:
    AnyTrigger = Annotated[Union[TRIGGERS], Field(discriminator="type")]  # noqa: UP007 - a union of what the list holds
"""One of them, told apart by `type`: what documents hold."""

__all__ = ["BY_KIND", "TRIGGERS", "AnyTrigger", "ClockTrigger", "Everyone", "Phrases", "Trigger", "WithDay"]
