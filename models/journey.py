"""Journeys, their published versions, and the counter that tells every process when to look again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel, UniqueConstraint

from models.columns import json_field, new_id


class Journey(SQLModel, table=True):
    """The draft and the state. `state` is draft, live, paused or stopped; `revision` grows with every saved draft (edit conflicts)."""

    __tablename__ = "journey"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    key: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=120)
    folder: str = Field(default="", max_length=120)
    tags: list[str] = json_field(list)
    draft: dict[str, Any] = json_field()
    revision: int = 1
    state: str = Field(default="draft", max_length=16, index=True)
    live_version: int | None = None
    paused_at: datetime | None = None
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(default="", max_length=120)
    dated_since: datetime | None = None
    """What happened before is counted on no day (`storage.tally`); the moment of the upgrade, for journeys that were there; None: all days are known."""


class DraftRevision(SQLModel, table=True):
    """A draft that was replaced, by whom and when: what a page that began with it is compared with (`engine.versions.drafts`). A journey has the newest some."""

    __tablename__ = "draft_revision"

    journey_id: str = Field(foreign_key="journey.id", primary_key=True, max_length=32)
    revision: int = Field(primary_key=True)
    document: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """JSON, packed by zlib."""
    replaced_at: datetime
    replaced_by: str = Field(default="", max_length=120)


class OpenBuilder(SQLModel, table=True):
    """A builder that is open in a browser, and the step its member is at; there as long as its web server says that it is alive (`process`)."""

    __tablename__ = "open_builder"

    id: str = Field(primary_key=True, max_length=32)
    journey_id: str = Field(foreign_key="journey.id", index=True, max_length=32)
    member_id: str = Field(max_length=32)
    process_id: str = Field(index=True, max_length=32)
    place: str = Field(default="", max_length=64)
    """A step, `$entry`, or empty: nothing is chosen."""


class Version(SQLModel, table=True):
    """One published, immutable state of a journey."""

    __tablename__ = "version"
    __table_args__ = (UniqueConstraint("journey_id", "number", name="uq_version_number"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    journey_id: str = Field(foreign_key="journey.id", index=True, max_length=32)
    number: int
    digest: str = Field(max_length=64)
    document: dict[str, Any] = json_field()
    pins: dict[str, Any] = json_field()
    """{"behaviours": [`kind@behaviour`], "templates": {template key: template version number}}"""
    note: str = Field(default="", max_length=2_000)
    published_at: datetime
    published_by: str = Field(default="", max_length=120)


class Freshness(SQLModel, table=True):
    """A number per topic (`journeys`, `catalogue`) that grows when the topic changes; readers compare and reload."""

    __tablename__ = "freshness"

    topic: str = Field(primary_key=True, max_length=32)
    number: int = 0


class TriggerCursor(SQLModel, table=True):
    """How far the keeper got with one clock trigger of one version: the last instant handled, and the page it is on."""

    __tablename__ = "trigger_cursor"

    journey_id: str = Field(foreign_key="journey.id", primary_key=True, max_length=32)
    trigger: str = Field(primary_key=True, max_length=64)
    """Digest of the trigger, so that an unchanged trigger keeps its cursor across versions."""
    done_until: datetime
    occurrence_at: datetime | None = None
    after_contact: str = Field(default="", max_length=32)
    left_out: int | None = None
    """None: the occurrence is entered. A number: everything up to it is left out, and that many contacts were noted so far."""
    worked_at: datetime | None = None
    """When the page before was dealt with."""
