from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.rules import Rule, explain_event, matches
from journeys.triggers.trigger import Happened, Phrases, Trigger
from journeys.types import EventName

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class EventTrigger(Trigger):
    """Enters when the event happens; `where` is a rule on the event's properties."""

    label = "Event happens"
    example = {"event": "Order Completed", "where": {"field": "total", "operator": ">=", "value": 100}}

    type: Literal["event"] = "event"
    event: EventName = Field(title="Event", json_schema_extra={"widget": "event"})
    where: Rule | None = Field(None, title="Only if", json_schema_extra={"widget": "rule"})

    def topics(self) -> Collection[str]:
        return (f"event:{self.event}",)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        return self.where is None or matches(self.where, event, as_of)

    def unmet(self, event: Happened, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
        return [] if self.where is None else explain_event(self.where, event, as_of)

    @property
    def event_name(self) -> str:
        return self.event

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "event", "event", self.event

    def event_rules(self) -> Iterable[tuple[str, str, Rule]]:
        if self.where is not None:
            yield "where", self.event, self.where

    def sentence(self, t: Phrases) -> str:
        if self.where is None:
            return t("When a contact does *{event}*", event=self.event)
        return t("When a contact does *{event}*, where {rule}", event=self.event, rule=t.rule(self.where))
