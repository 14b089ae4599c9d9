"""A clock trigger that the product does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Literal

from pydantic import Field

from journeys.rules import Rule
from journeys.triggers.trigger import ClockTrigger, Everyone, Phrases, Whom


class YearlyTrigger(ClockTrigger):
    """Enters everyone for whom `rule` holds at the turn of each year."""

    label = "Turn of the year"
    example = {"rule": {"field": "locale", "operator": "=", "value": "de"}}
    coming = "When the year turns, {from_at}:"

    type: Literal["yearly"] = "yearly"
    rule: Rule = Field(title="Who", json_schema_extra={"widget": "rule"})

    def rules(self) -> Iterable[tuple[str, Rule]]:
        yield "rule", self.rule

    def instants(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        year = after.year
        while True:
            year += 1
            yield datetime(year, 1, 1, tzinfo=UTC)

    def whom(self, instants: Iterable[datetime], zone: tzinfo) -> Whom:
        return Everyone(self.rule)

    def sentence(self, t: Phrases) -> str:
        return t("At the turn of the year: {rule}", rule=t.rule(self.rule))
