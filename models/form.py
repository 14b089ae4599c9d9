"""Forms that people fill in: what each asks, every wording that was ever shown, what was sent in, and how much a day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, text
from sqlmodel import Field, Index, SQLModel

from models.columns import BigId, big_id, json_field, new_id


def _of_form() -> Any:
    return Field(sa_column=Column(BigId, ForeignKey("form.id"), primary_key=True, autoincrement=False))


class Form(SQLModel, table=True):
    """A form. `state`: draft (nobody else sees it), live, or archived (its address leads nowhere)."""

    __tablename__ = "form"

    id: int | None = big_id()
    key: str = Field(unique=True, max_length=64)
    """Part of its address, and of the events and consents that come of it."""
    name: str = Field(max_length=120)
    state: str = Field(default="draft", max_length=8)
    before: str = Field(default="", max_length=8)
    """The state that an archived one goes back to."""
    definition: dict[str, Any] = json_field()
    """What it asks (`crm.forms.definition.Definition`)."""
    version: int = 1
    """Of `definition`; grows with every change of it."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    updated_at: datetime


class FormVersion(SQLModel, table=True):
    """What a form asked at a time at which it was live: the wording that people agreed to is read here."""

    __tablename__ = "form_version"

    form_id: int = _of_form()
    number: int = Field(primary_key=True)
    definition: dict[str, Any] = json_field()
    made_at: datetime
    made_by: str = Field(default="", max_length=120)


class FormSubmission(SQLModel, table=True):
    """What somebody filled in. `state`: arrived, or waiting (somebody else is known by the address, and the mailbox has not answered yet)."""

    __tablename__ = "form_submission"
    __table_args__ = (
        Index("ix_form_submission_form", "form_id", "id"),
        Index("ix_form_submission_address", "form_id", "address", "id"),
        Index(
            "ix_form_submission_waiting", "submitted_at", sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")
        ),
        Index("ix_form_submission_submitted", "submitted_at", "id"),
        Index("ix_form_submission_opt_in", "opt_in_id"),
        Index("uq_form_submission_nonce", "form_id", "nonce", unique=True),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    form_id: int = Field(sa_column=Column(BigId, ForeignKey("form.id"), nullable=False))
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    opt_in_id: str | None = Field(default=None, max_length=32)
    """The double opt-in that its boxes wait for."""
    nonce: str = Field(max_length=32)
    """Of the page that was shown; the same one twice is one submission."""
    version: int
    """Of the form, as it was shown."""
    state: str = Field(default="arrived", max_length=8)
    language: str = Field(max_length=35)
    address: str = Field(default="", max_length=320)
    """What was filled in as e-mail address, normalised; it need not be the contact's."""
    values: dict[str, Any] = json_field()
    """Name of each field -> what was filled in."""
    boxes: list[Any] = json_field(list)
    """Keys of the boxes that were ticked."""
    page: str = Field(default="", max_length=2_000)
    """Where the form stood, as far as the browser says."""
    source: dict[str, Any] = json_field()
    """utm_source and its like, referrer and landing_page, as far as the browser says."""
    ip: str = Field(default="", max_length=64)
    """Whence it came, shortened."""
    submitted_at: datetime


class FormDay(SQLModel, table=True):
    """What came in by a form on a day (UTC). `spam`: what only programs fill in; of it nothing else is kept."""

    __tablename__ = "form_day"

    form_id: int = _of_form()
    day: date = Field(primary_key=True)
    submitted: int = 0
    spam: int = 0
