from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from journeys import values
from journeys.clock import instant_of, next_clock_time, next_opening
from journeys.draws import spread
from journeys.nodes.node import Node
from journeys.rules import dates
from journeys.types import Part
from journeys.values import Answer, Context, Leave, Outcome

ClockText = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", json_schema_extra={"widget": "time"})]
Weekday = Annotated[int, Field(ge=0, le=6)]
Weekdays = Annotated[tuple[Weekday, ...], Field(title="On weekdays", description="0 is Monday.", min_length=1, max_length=7)]
EVERY_DAY: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
LONGEST_OFFSET = timedelta(days=366)


class ClockTime(Part):
    """The next time the contact's clock shows `at`, on one of the weekdays."""

    model_config = ConfigDict(title="Time of day")

    type: Literal["clock"] = "clock"
    at: ClockText = Field("09:00", title="Time of day")
    weekdays: Weekdays = EVERY_DAY

    def instant(self, ctx: Context) -> tuple[datetime | None, int]:
        return next_clock_time(ctx.entered_at, time.fromisoformat(self.at), ctx.zone, self.weekdays), ctx.spread_seconds


class Window(Part):
    """Continues right away inside the window, otherwise when it next opens. With `end` at or before `start`, the window runs
    past midnight."""

    model_config = ConfigDict(title="Weekday window")

    type: Literal["window"] = "window"
    start: ClockText = Field("09:00", title="Opens at")
    end: ClockText = Field("17:00", title="Closes at")
    weekdays: Weekdays = (0, 1, 2, 3, 4)

    def instant(self, ctx: Context) -> tuple[datetime | None, int]:
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        opens = next_opening(ctx.entered_at, self.weekdays, start, end, ctx.zone)
        inside = opens <= ctx.entered_at
        return opens, 0 if inside else min(ctx.spread_seconds, self._length_seconds())

    def _length_seconds(self) -> int:
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        minutes = (end.hour - start.hour) * 60 + end.minute - start.minute
        return (minutes % 1440 or 1440) * 60


class DateField(Part):
    """A date in a contact field, shifted by `offset` ("-P3D" is three days before). With `at`, the wait ends on that day at
    that time; without it, at the time in the field. `yearly` uses the next anniversary (29 February: the 28th in other
    years)."""

    model_config = ConfigDict(title="Date in a field")

    type: Literal["date"] = "date"
    field: str = Field(title="Field", min_length=1, max_length=120, json_schema_extra={"widget": "field", "names": "field"})
    offset: timedelta = Field(timedelta(0), title="Moved by", ge=-LONGEST_OFFSET, le=LONGEST_OFFSET)
    at: ClockText | None = Field("09:00", title="Time of day")
    yearly: bool = Field(False, title="Every year")

    def instant(self, ctx: Context) -> tuple[datetime | None, int]:
        wall = dates.wall_time(ctx.facts.value(self.field), ctx.zone)
        if wall is None:
            return None, 0
        if not self.yearly:
            return self._moved(wall, ctx), ctx.spread_seconds
        first_year = ctx.entered_at.year - 2
        moved = (self._moved(datetime.combine(dates.in_year(wall.date(), first_year + n), wall.time()), ctx) for n in range(6))
        return next(at for at in moved if at > ctx.entered_at), ctx.spread_seconds

    def _moved(self, wall: datetime, ctx: Context) -> datetime:
        if self.at is not None:
            return instant_of((wall + self.offset).date(), time.fromisoformat(self.at), ctx.zone)
        return instant_of(wall.date(), wall.time(), ctx.zone) + self.offset


class WaitUntil(Node):
    """Waits for a time of day, a weekday window or a date, in the contact's time zone.

    A time of day and a window always come around. A date can be in the past or missing: the contact then leaves
    through *passed* right away. Wake-ups in the same minute are spread out a little, as set for the journey.
    """

    kind = "wait_until"
    label = "Wait until"
    group = "time"
    icon = "calendar-clock"
    keywords = "delay until time of day business hours weekday date birthday reminder before"
    leaves_wait_through = "next"
    example = {"until": {"type": "date", "field": "renewal_on", "offset": "-P3D", "at": "09:00"}}

    until: ClockTime | Window | DateField = Field(title="Until", discriminator="type")

    def outlets(self) -> tuple[str, ...]:
        return ("next", "passed") if getattr(self.until, "type", "") == "date" else ("next",)

    def enter(self, ctx: Context) -> Answer:
        at, spread_seconds = self.until.instant(ctx)
        if at is None:
            return Leave(outlet="passed", note={"reason": "no_date"})
        if isinstance(self.until, DateField) and at <= ctx.entered_at:
            return Leave(outlet="passed", note={"reason": "passed", "at": at.isoformat()})
        at += spread(spread_seconds, ctx.run.contact_id)
        return Leave(outlet="next") if at <= ctx.as_of else values.WaitUntil(at=at)

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        return Leave(outlet="next")

    def minimum_wait(self) -> timedelta:
        # Whoever comes back to a time of day has passed it and waits for the next one; only the first wait can be short.
        return timedelta(minutes=1) if isinstance(self.until, ClockTime) else timedelta(0)

    def minimum_return(self) -> timedelta:
        # From one of the weekdays to the next, less four hours for the change of the clocks, of the zone and for the spread.
        if not isinstance(self.until, ClockTime):
            return self.minimum_wait()
        days = sorted(set(self.until.weekdays))
        apart = [(later - day) % 7 or 7 for day, later in zip(days, [*days[1:], days[0]], strict=True)]
        return timedelta(days=min(apart)) - timedelta(hours=4)

    def references(self) -> Iterable[tuple[str, str, str]]:
        if isinstance(self.until, DateField):
            yield "until.field", "field", self.until.field
