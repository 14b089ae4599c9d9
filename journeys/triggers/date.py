from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from pydantic import Field

from journeys.clock import next_clock_time
from journeys.triggers.trigger import ClockTrigger, Phrases, Whom, WithDay


class DateTrigger(ClockTrigger):
    """Enters `offset_days` after (negative: before) the date in a contact field, at the time `at` on the contact's clock; `yearly` for
    birthdays."""

    label = "Date in a field"
    example = {"field": "birthday", "yearly": True, "at": "09:00"}
    each_zone = True
    coming = "Next contacts by date, {from_at} to {to_at}:"

    type: Literal["date"] = "date"
    field: str = Field(title="Field", min_length=1, max_length=120, json_schema_extra={"widget": "field"})
    offset_days: int = Field(0, title="Days after (negative: before)", ge=-366, le=366)
    at: str = Field("09:00", title="Time of day", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    yearly: bool = Field(False, title="Every year")

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "field", "field", self.field

    def instants(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        while True:
            after = next_clock_time(after, time.fromisoformat(self.at), zone)
            yield after

    def whom(self, instants: Iterable[datetime], zone: tzinfo) -> Whom:
        offset = timedelta(days=self.offset_days)
        return WithDay(self.field, frozenset(at.astimezone(zone).date() - offset for at in instants), self.yearly)

    def properties(self, day: date) -> Mapping[str, Any]:
        return {"field": self.field, "day": day.isoformat(), "offset_days": self.offset_days, "at": self.at}

    def sentence(self, t: Phrases) -> str:
        said = self._on_the_day(t)
        return t("{sentence}, every year", sentence=said) if self.yearly else said

    def _on_the_day(self, t: Phrases) -> str:
        if not self.offset_days:
            return t("At {at} on the day of *{field}*", at=self.at, field=self.field)
        span = t.span(timedelta(days=abs(self.offset_days)))
        if self.offset_days > 0:
            return t("At {at}, {span} after *{field}*", at=self.at, span=span, field=self.field)
        return t("At {at}, {span} before *{field}*", at=self.at, span=span, field=self.field)
