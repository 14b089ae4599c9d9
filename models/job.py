"""Background jobs that workers do page by page: one row says what, how far, who is at it, and how to go on after a crash."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel

from models.columns import json_field, new_id


class PurgeMark(SQLModel, table=True):
    """How far one kind of stored data has been emptied (`crm.privacy.retention`): a place in the order in which it is gone through."""

    __tablename__ = "purge_mark"

    name: str = Field(primary_key=True, max_length=32)
    after: str = Field(max_length=80)


class Job(SQLModel, table=True):
    """`state`: running, done, failed or cancelled. Each page moves `cursor` in the transaction that does the page's work."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_running", "id", sqlite_where=text("state = 'running'"), postgresql_where=text("state = 'running'")),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    kind: str = Field(max_length=32)
    subject: str = Field(default="", index=True, max_length=160)
    """What it works on, as in the audit trail: `journey:<id>`."""
    input: dict[str, Any] = json_field()
    state: str = Field(default="running", max_length=16)
    cursor: str = Field(default="", max_length=64)
    done: int = 0
    total: int | None = None
    counts: dict[str, Any] = json_field()
    error: str = Field(default="", max_length=300)
    """What ended it early: a sentence and its values as JSON text (`journeys.errors.Sentence`), in older rows the sentence in English."""
    leased_by: str = Field(default="", max_length=32, sa_column_kwargs={"server_default": ""})
    """The worker that is at it, by the name it gave itself; empty if none is."""
    free_at: datetime | None = None
    """From when on another worker may take it (real time): the end of the lease, or of a pause; None: at once."""
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How often in a row a page of it broke off."""
    created_by: str = Field(default="", max_length=120)
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
