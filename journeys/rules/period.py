"""When an event must have happened to count: within a window that ends now, since a day, before a day or before so long ago."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.rules import dates

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker

DAY = FieldLabel("Day")
Day = Annotated[str, Field(max_length=40)]
"""A day or an instant in ISO 8601; where it ends a period also a time span from now (`-P30D`)."""


@dataclass(frozen=True, slots=True)
class Period:
    """After now - `within`; at `since` or later; earlier than `before`, or than now + `ago`. None: no such bound. `never`: a day that is none."""

    within: timedelta | None = None
    since: datetime | None = None
    before: datetime | None = None
    ago: timedelta | None = None
    never: bool = False

    def has(self, at: datetime, as_of: datetime) -> bool:
        """Whether what happened then counts now; what is still to come never does."""
        if self.never or at > as_of or (self.within is not None and at <= as_of - self.within):
            return False
        if self.since is not None and at < self.since:
            return False
        return not (self.before is not None and at >= self.before) and not (self.ago is not None and at >= as_of + self.ago)


def period(within: timedelta | None, since: str | None, before: str | None = None) -> Period:
    """Out of what a term says. A day that cannot be read (the check tells it) is a period in which nothing happens."""
    begins, ends = _moment(since), _moment(before)
    ago = None if before is None else dates.duration(before)
    never = (since is not None and begins is None) or (before is not None and ends is None and ago is None)
    return Period(within, begins, ends, ago, never)


def _moment(day: str | None) -> datetime | None:
    at = None if day is None else dates.moment(dates.normalise(day.strip()))
    return at if at is not None and at.year in dates.YEARS else None


def check(checker: Checker, path: str, said: Period, since: str | None, before: str | None = None) -> Iterator[Issue]:
    """Days that are none, and bounds between which there is no time."""
    for name, day in (("since", since), ("before", before)):
        if day == "":
            yield DAY.empty(checker.node_id, f"{path}.{name}")
    if since and said.since is None:
        text = "“{value}” is no date; expected one such as 2026-12-31."
        yield checker.issue("rule.date", text, f"{path}.since", value=since)
    if before and said.before is None and said.ago is None:
        text = "“{value}” is neither a date such as 2026-12-31 nor a time span such as -P30D."
        yield checker.issue("rule.date", text, f"{path}.before", value=before)
    if said.ago is not None and said.ago > timedelta(0):
        yield checker.issue("rule.date", "This lies in the future, and nothing has happened there yet.", f"{path}.before")
    if _is_empty(said):
        yield checker.issue("rule.period", "No time lies between these bounds, so no event is ever counted.", path)


def _is_empty(said: Period) -> bool:
    if said.since is not None and said.before is not None and said.since >= said.before:
        return True
    return said.within is not None and said.ago is not None and said.within <= -said.ago


def sentence(speaker: Speaker, said: Period) -> str:
    """` in the last 30 days`, ` since 2026-01-01`, ` more than 30 days ago`, each with the blank before it; empty without bounds."""
    parts = [speaker.past(said.within).strip()] if said.within is not None else []
    if said.since is not None:
        parts.append(speaker.fill("since {day}", day=speaker.day(said.since)))
    if said.before is not None:
        parts.append(speaker.fill("before {day}", day=speaker.day(said.before)))
    if said.ago is not None:
        parts.append(speaker.longer_ago(-said.ago))
    return "".join(f" {part}" for part in parts)
