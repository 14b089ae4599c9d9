"""People: the contact row, the names it is known by, tags, scores and merges."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field, new_id


class Contact(SQLModel, table=True):
    """One person. The row is the lock for everything that happens to that person."""

    __tablename__ = "contact"
    __table_args__ = (Index("ix_contact_timezone", "timezone", "id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    email: str | None = Field(default=None, max_length=320, index=True)
    """Normalised (lower case, IDNA domain)."""
    phone: str | None = Field(default=None, max_length=32, index=True)
    """E.164."""
    first_name: str | None = Field(default=None, max_length=200)
    last_name: str | None = Field(default=None, max_length=200)
    locale: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    lifecycle_stage: str | None = Field(default=None, max_length=64, index=True)
    owner: str | None = Field(default=None, max_length=32, index=True)
    attributes: dict[str, Any] = json_field()
    """Every other field, flat or nested, by name."""
    created_at: datetime
    updated_at: datetime = Field(index=True)
    last_seen_at: datetime | None = None
    merged_into: str | None = Field(default=None, max_length=32, index=True)
    """Set on the loser of a merge; its rows have moved to the winner."""
    erased_at: datetime | None = None
    demo: bool = False


class Identity(SQLModel, table=True):
    """A name a contact is known by: `user_id`, `anonymous_id`, `email`, `phone` or `external:<system>`. Each name has one contact."""

    __tablename__ = "identity"

    kind: str = Field(primary_key=True, max_length=64)
    value: str = Field(primary_key=True, max_length=320)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    created_at: datetime


class Merge(SQLModel, table=True):
    """Two contacts became one; `kept` holds what the loser's row said."""

    __tablename__ = "merge"

    id: int | None = big_id()
    winner_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    loser_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    reason: str = Field(max_length=64)
    kept: dict[str, Any] = json_field()
    merged_at: datetime


class Tag(SQLModel, table=True):
    __tablename__ = "tag"
    __table_args__ = (Index("ix_tag_tag", "tag", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    tag: str = Field(primary_key=True, max_length=120)
    added_at: datetime


class Score(SQLModel, table=True):
    """The present value of one score group of one contact."""

    __tablename__ = "score"
    __table_args__ = (Index("ix_score_group", "score_group", "value"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    score_group: str = Field(primary_key=True, max_length=64)
    value: float = 0.0
    changed_at: datetime


class ScoreChange(SQLModel, table=True):
    """Why a score is what it is."""

    __tablename__ = "score_change"
    __table_args__ = (Index("ix_score_change_contact", "contact_id", "id"),)

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    score_group: str = Field(max_length=64)
    points: float
    value: float
    reason: str = Field(default="", max_length=200)
    changed_at: datetime
