"""Restored backups: from when to when calls may have left that the database does not know of, and what was made of each."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from models.columns import json_field, new_id


class Restore(SQLModel, table=True):
    """A backup that was restored. What left between `since` (the backup) and `until` (when everything stood still) stands nowhere in the
    database; both by the workspace's clock. `assume`: sent, unsent or ask, what is made of a call that may be one of those."""

    __tablename__ = "restore"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    since: datetime
    until: datetime
    assume: str = Field(max_length=8)
    restored_at: datetime


class RestoredRun(SQLModel, table=True):
    """A run that may have gone on in that time: where it stood then. `leaves_at` is the earliest instant it can have left `node`.

    `node` empty: it began, or may have begun, at `leaves_at`. `version_id` empty: it may have gone on anywhere.
    """

    __tablename__ = "restored_run"

    restore_id: str = Field(foreign_key="restore.id", primary_key=True, max_length=32)
    run_id: str = Field(primary_key=True, index=True, max_length=32)
    version_id: str = Field(max_length=32)
    node: str = Field(default="", max_length=64)
    visits: dict[str, int] = json_field()
    leaves_at: datetime


class RestoredMessage(SQLModel, table=True):
    """A call that may have left in that time, and what was made of it. `assumed`: sent, unsent (it went, perhaps a second time), ask (a
    person decides), absent (the provider was asked and never got it)."""

    __tablename__ = "restored_message"
    __table_args__ = (Index("ix_restored_message_assumed", "restore_id", "assumed", "message_id"),)

    message_id: str = Field(primary_key=True, max_length=32)
    restore_id: str = Field(foreign_key="restore.id", max_length=32)
    assumed: str = Field(max_length=8)
    decided_at: datetime
