from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Literal

from pydantic import Field

from journeys.cron import OPEN, CronError, next_after, parse
from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.rules import Rule
from journeys.triggers.trigger import ClockTrigger, Everyone, Phrases, Whom


class ScheduleTrigger(ClockTrigger):
    """Enters, at each time of a cron line in the journey's zone, everyone for whom `rule` holds, page by page."""

    label = "On a schedule"
    example = {"cron": "0 9 * * 1", "rule": {"field": "lifecycle_stage", "operator": "=", "value": "customer"}}
    coming = "Next occurrence of the schedule, {from_at}:"

    type: Literal["schedule"] = "schedule"
    cron: str = Field(title="At these times", min_length=1, max_length=100, json_schema_extra={"widget": "cron"})
    rule: Rule = Field(title="Who", json_schema_extra={"widget": "rule"})

    def problems(self, path: str) -> Iterable[Issue]:
        if OPEN in self.cron:
            yield FieldLabel("Days", chosen=True).empty(None, f"{path}.cron")
            return
        try:
            parse(self.cron)
        except CronError as error:
            yield Issue(code="bad_cron", text=error.text, values=error.values, field=f"{path}.cron")

    def rules(self) -> Iterable[tuple[str, Rule]]:
        yield "rule", self.rule

    def instants(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        while True:
            after = next_after(self.cron, after, zone)
            yield after

    def whom(self, instants: Iterable[datetime], zone: tzinfo) -> Whom:
        return Everyone(self.rule)

    def sentence(self, t: Phrases) -> str:
        text = "On a schedule, {times}: everyone for whom this holds: {rule}"
        return t(text, times=t.times(self.cron), rule=t.rule(self.rule))
