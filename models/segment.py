"""Segments: named rules with a live membership, and lists that people keep by hand."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ForeignKey
from sqlmodel import Field, Index, SQLModel

from models.columns import BigId, big_id, json_field


def _of_segment() -> Any:
    return Field(sa_column=Column(BigId, ForeignKey("segment.id"), primary_key=True, autoincrement=False))


class Segment(SQLModel, table=True):
    """A segment. `kind`: live (its `rule` decides who is in) or static (people decide, `rule` is None)."""

    __tablename__ = "segment"

    id: int | None = big_id()
    key: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=120)
    description: str = Field(default="", max_length=500)
    kind: str = Field(default="live", max_length=8)
    rule: dict[str, Any] | None = json_field(None, nullable=True)
    topics: list[Any] = json_field(list)
    """What can change an answer of the rule besides time (`journeys.rules.topics`); `contact`: also that somebody is new."""
    version: int = 1
    """Grows with the rule; a fill belongs to one version."""
    state: str = Field(default="live", max_length=8)
    """live, filling (not everybody has been asked yet) or emptying (deleted: only those who want it back see it)."""
    fill_job: str | None = Field(default=None, max_length=32)
    """The newest job that asks everybody."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    updated_at: datetime
    deleted_at: datetime | None = None
    """Since when it can be taken back. None of one that is deleted: it goes for good."""
    former_key: str = Field(default="", max_length=64)
    """Of one that is deleted; its `key` is free for others."""


class SegmentMember(SQLModel, table=True):
    """A contact is in a segment, since `since`."""

    __tablename__ = "segment_member"
    __table_args__ = (Index("ix_segment_member_contact", "contact_id", "segment_id"),)

    segment_id: int = _of_segment()
    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    since: datetime


class SegmentMark(SQLModel, table=True):
    """A contact has to be asked again about the segments that hang on a topic, because something has changed; however often it changed, it is one row."""

    __tablename__ = "segment_mark"
    __table_args__ = (Index("ix_segment_mark_marked", "marked_at", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    topic: str = Field(primary_key=True, max_length=210)
    """As in `Segment.topics`; `*`: about all of them."""
    marked_at: datetime
    """Since when it waits, in the product's time: when the first of the changes came."""
    newest_at: datetime
    """When the last of them came. Whoever asks as of an earlier instant does not see it yet, and leaves the mark for later."""
    silent: bool = False
    """All that changed was history that was brought in: nobody is told."""
    hops: int = 0
    """The most of the events that led here (`Event.hops`)."""


class SegmentFlip(SQLModel, table=True):
    """The next instant at which time alone may change whether a contact is in a segment."""

    __tablename__ = "segment_flip"
    __table_args__ = (Index("ix_segment_flip_at", "at", "contact_id"), Index("ix_segment_flip_segment", "segment_id", "contact_id"))

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    segment_id: int = _of_segment()
    at: datetime


class SegmentDay(SQLModel, table=True):
    """How many entered and left a segment on a day (UTC). All that entered less all that left are its members."""

    __tablename__ = "segment_day"

    segment_id: int = _of_segment()
    day: date = Field(primary_key=True)
    entered: int = 0
    left: int = 0
