"""How many messages provider accounts and sending domains sent, and how many came to nothing; where that stops or slows them, and how many they may
send on a day.

`account` is the name of an account such as `smtp.main`, or a domain with an @ before it, such as `@shop.example`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from models.columns import big_id


class SendingDelta(SQLModel, table=True):
    """One message counted, appended by whoever sent it or heard of it; the keeper folds it into `SendingDay`."""

    __tablename__ = "sending_delta"

    id: int | None = big_id()
    account: str = Field(max_length=260)
    day: date
    what: str = Field(max_length=16)
    """tried, bounced (for good) or complained."""


class SendingDay(SQLModel, table=True):
    """What an account did on a day (UTC)."""

    __tablename__ = "sending_day"

    account: str = Field(primary_key=True, max_length=260)
    day: date = Field(primary_key=True)
    what: str = Field(primary_key=True, max_length=16)
    count: int = 0


class SendingLevel(SQLModel, table=True):
    """An account whose bounces or complaints are too many (real time), or that an administrator has let go on."""

    __tablename__ = "sending_level"

    account: str = Field(primary_key=True, max_length=260)
    level: str = Field(default="", max_length=8)
    """Empty, warn, slow or stop."""
    why: str = Field(default="", max_length=16)
    """complaints or bounces."""
    since: datetime
    counted_from: date | None = None
    """The day on which an administrator let it go on: what came before counts no more."""
    tried_before: int = 0
    bounced_before: int = 0
    complained_before: int = 0
    """What had been counted on that day by then."""
    next_at: datetime
    """Slow: when the next marketing message may leave."""


class SendingPlan(SQLModel, table=True):
    """How many messages may leave on a day (UTC); while it warms up fewer, each day more. Real time."""

    __tablename__ = "sending_plan"

    account: str = Field(primary_key=True, max_length=260)
    a_day: int
    """At most so many."""
    warm_up_from: date | None = None
    """The first day of the warm-up; None: there is none."""
    warm_up_first: int = 0
    """How many on that day."""
    warm_up_growth: int = 0
    """By how many percent more on each further day."""
    updated_at: datetime
    updated_by: str = Field(default="", max_length=120)


class SendingPlanDay(SQLModel, table=True):
    """What was taken of a day's messages, and how many that had no room before shall leave on it."""

    __tablename__ = "sending_plan_day"

    account: str = Field(primary_key=True, max_length=260)
    day: date = Field(primary_key=True)
    taken: int = 0
    planned: int = 0
