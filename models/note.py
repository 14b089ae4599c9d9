"""What people of the team write down about a contact: notes, and calls that they have made or taken."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from models.columns import new_id


class Note(SQLModel, table=True):
    """A note, or a call that was logged. `kind`: note or call; `direction`, `outcome` and `duration_seconds` are a call's.

    `at` is when it was written or the call was made, `author` who wrote it (`member:<id>`, `key:<id>`).
    """

    __tablename__ = "note"
    __table_args__ = (Index("ix_note_contact", "contact_id", "kind", "at", "id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    kind: str = Field(default="note", max_length=8)
    text: str = Field(default="", max_length=4_000)
    direction: str = Field(default="", max_length=8)
    """outgoing or incoming"""
    outcome: str = Field(default="", max_length=16)
    duration_seconds: int | None = None
    author: str = Field(max_length=120)
    at: datetime
    changed_at: datetime | None = None
    """When its text was last changed; None: it stands as it was written."""
