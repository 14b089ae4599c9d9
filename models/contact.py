"""People: the contact row, the names it is known by, tags, scores and merges."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, text
from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from models.columns import BigId, big_id, json_field, new_id


class Contact(SQLModel, table=True):
    """One person. The row is the lock for everything that happens to that person."""

    __tablename__ = "contact"
    __table_args__ = (
        Index("ix_contact_email", "email", "id"),
        Index("ix_contact_phone", "phone", "id"),
        Index("ix_contact_timezone", "timezone", "id"),
        Index("ix_contact_grade", "grade", "id"),
        # Only those: with everybody in it, SQLite would take it for "is merged into nobody" and read all contacts for each page.
        Index(
            "ix_contact_merged_into",
            "merged_into",
            sqlite_where=text("merged_into IS NOT NULL"),
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    email: str | None = Field(default=None, max_length=320)
    """Normalised (lower case, IDNA domain)."""
    phone: str | None = Field(default=None, max_length=32)
    """E.164."""
    postal_address: str | None = Field(default=None, max_length=320)
    """One text of seven parts (`journeys.postal`)."""
    first_name: str | None = Field(default=None, max_length=200)
    last_name: str | None = Field(default=None, max_length=200)
    locale: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    lifecycle_stage: str | None = Field(default=None, max_length=64, index=True)
    owner: str | None = Field(default=None, max_length=32, index=True)
    push_devices: str | None = Field(default=None, max_length=32)
    """Which kinds of devices push messages reach, by name: `android web`; None: none. Kept by `crm.people.devices`."""
    grade: str | None = Field(default=None, max_length=2)
    """A1 to D4, kept by `crm.scoring.booking`; None: no points yet, or nothing gives grades."""
    attributes: dict[str, Any] = json_field()
    """Every other field, flat or nested, by name."""
    created_at: datetime
    updated_at: datetime = Field(index=True)
    last_seen_at: datetime | None = None
    merged_into: str | None = Field(default=None, max_length=32)
    """Set on the loser of a merge; its rows have moved to the winner."""
    erased_at: datetime | None = None
    demo: bool = False
    vouched: bool = True
    """An authenticated sender, an import or a member of the team has named this person; a browser gives such a contact no names."""


class ContactPhone(SQLModel, table=True):
    """A further phone number of a contact, beside `Contact.phone`. After a merge a number may stand there twice; readers take it once."""

    __tablename__ = "contact_phone"
    __table_args__ = (Index("ix_contact_phone_contact", "contact_id", "id"), Index("ix_contact_phone_phone", "phone", "contact_id"))

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    phone: str = Field(max_length=32)
    """E.164."""
    created_at: datetime


class Identity(SQLModel, table=True):
    """A name a contact is known by: `user_id`, `anonymous_id`, `email` or `external:<system>`. Each name has one contact.

    Rows of the kind `phone` are older than decision 014: they are kept, and find nobody.
    """

    __tablename__ = "identity"

    kind: str = Field(primary_key=True, max_length=64)
    value: str = Field(primary_key=True, max_length=320)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    created_at: datetime
    shared: bool = False
    """An e-mail address that contacts with different ids have: alone it says nobody's name."""


class Merge(SQLModel, table=True):
    """Two contacts became one; `kept` holds what both were before, `MergeMoved` which rows changed hands."""

    __tablename__ = "merge"

    id: int | None = big_id()
    winner_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    loser_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    reason: str = Field(max_length=64)
    kept: dict[str, Any] = json_field()
    merged_at: datetime
    undone_at: datetime | None = None
    undone_by: str = Field(default="", max_length=120)


class MergeMoved(SQLModel, table=True):
    """Keys of rows that a merge gave to the winner, some hundred in a row; they go back when it is undone."""

    __tablename__ = "merge_moved"

    merge_id: int = Field(sa_column=Column(BigId, ForeignKey("merge.id"), primary_key=True, autoincrement=False))
    kind: str = Field(primary_key=True, max_length=32)
    """The table."""
    part: int = Field(primary_key=True)
    keys: list[Any] = json_field(list)


class Duplicate(SQLModel, table=True):
    """Two contacts that may be one person; `one_id` is the smaller id. `different` is remembered: no call merges them again."""

    __tablename__ = "duplicate"
    __table_args__ = (Index("ix_duplicate_state", "state", "id"), UniqueConstraint("one_id", "other_id", name="uq_duplicate_pair"))

    id: int | None = big_id()
    one_id: str = Field(foreign_key="contact.id", max_length=32)
    other_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    reason: str = Field(max_length=16)
    """email or phone: what both have."""
    state: str = Field(default="open", max_length=16)
    """open or different"""
    found_at: datetime
    decided_at: datetime | None = None
    decided_by: str = Field(default="", max_length=120)


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
    __table_args__ = (Index("ix_score_change_contact", "contact_id", "changed_at", "id"),)

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    score_group: str = Field(max_length=64)
    points: float
    value: float
    reason: str = Field(default="", max_length=200)
    why: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    """What made a rule give or take points: happened, faded, holds, ended, changed (the model), capped; empty: by hand or by a step."""
    model_id: int | None = Field(default=None, sa_type=BigId)
    """Of `score_model`, which may be gone since; None: by hand or by a step."""
    rule: str = Field(default="", max_length=40, sa_column_kwargs={"server_default": ""})
    """The rule's id in that model."""
    changed_at: datetime
