"""What contacts did and what happened to them. Append-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from models.columns import BigId, big_id, json_field


class Event(SQLModel, table=True):
    """`occurred_at` is the sender's corrected clock (never in the future), `received_at` ours.

    `routed` is False only for events that were appended without routing (by the worker): the keeper routes them.
    `hops` counts how many journeys' own doings led here; above 8 an event starts nothing.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("source", "message_id", name="uq_event_message"),
        Index("ix_event_contact_name", "contact_id", "name", "occurred_at"),
        Index("ix_event_contact", "contact_id", "id"),
        Index("ix_event_contact_time", "contact_id", "occurred_at", "id"),
        Index("ix_event_unrouted", "id", sqlite_where=text("routed = 0"), postgresql_where=text("NOT routed")),
    )

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    type: str = Field(default="track", max_length=16)
    """track, identify, page, screen, group, alias or system."""
    name: str = Field(max_length=200)
    properties: dict[str, Any] = json_field()
    context: dict[str, Any] = json_field()
    source: str = Field(default="api", max_length=64)
    message_id: str = Field(max_length=100)
    occurred_at: datetime
    received_at: datetime
    hops: int = 0
    routed: bool = True
    backfill: bool = False
    """Imported history: wakes nobody."""
    trace: str | None = Field(default=None, max_length=55)
    """Where the trace goes on that took it in (W3C `traceparent`); None: it is not recorded."""


class Unrouted(SQLModel, table=True):
    """What a stored event has still to set off, because routing that part failed; the keeper tries again at `next_at`.

    `reason` names the kind of failure and the place in the code, never what the event holds.
    """

    __tablename__ = "unrouted"
    __table_args__ = (Index("ix_unrouted_next", "next_at", "event_id"),)

    event_id: int = Field(foreign_key="event.id", primary_key=True, sa_type=BigId)
    part: str = Field(primary_key=True, max_length=40)
    """`all`, `inbox` (runs that listen), `goal:RUN`, `entry:JOURNEY` or `start` (of a journey that a step named)."""
    reason: str = Field(max_length=200)
    attempts: int = 1
    first_at: datetime
    next_at: datetime
