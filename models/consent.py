"""What a contact allowed, and addresses that must not be written to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field


class Consent(SQLModel, table=True):
    """One statement about consent; append-only, the one said last (`said_at`) counts. `state` is granted, withdrawn or pending."""

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_contact", "contact_id", "channel", "purpose", "id"),)

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    channel: str = Field(max_length=32)
    purpose: str = Field(max_length=64)
    state: str = Field(max_length=16)
    source: str = Field(max_length=200)
    """Where it was said: `api`, `import:<file>`, `preferences`, `one-click`, `demo`…"""
    wording: str = Field(default="", max_length=4_000)
    proof: dict[str, Any] = json_field()
    """Shortened IP, form URL, mail id, method: what proves it."""
    said_at: datetime
    recorded_at: datetime


class ConsentState(SQLModel, table=True):
    """The newest statement per channel and purpose, written with it in one transaction."""

    __tablename__ = "consent_state"
    __table_args__ = (Index("ix_consent_state_lookup", "channel", "purpose", "state", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    channel: str = Field(primary_key=True, max_length=32)
    purpose: str = Field(primary_key=True, max_length=64)
    state: str = Field(max_length=16)
    said_at: datetime
    dated: bool = True
    """The statement named `said_at` itself; an undated yes loses to every withdrawal."""


class MailboxConsent(SQLModel, table=True):
    """What one contact said last about messages to one address: a no stands for everybody who has the address (decision 013).

    `mailbox` is the normalised address, or its keyed hash once the contact is erased. `purpose` may be `*`: an objection to everything.
    """

    __tablename__ = "mailbox_consent"

    channel: str = Field(primary_key=True, max_length=32)
    mailbox: str = Field(primary_key=True, max_length=320)
    purpose: str = Field(primary_key=True, max_length=64)
    contact_id: str = Field(primary_key=True, index=True, max_length=32)
    """Who said it; empty for an audited act of the workspace."""
    state: str = Field(max_length=16)
    """granted or withdrawn"""
    said_at: datetime
    proven: bool = False
    """It came from the mailbox itself, so it also answers what others who have it said before."""


class Suppression(SQLModel, table=True):
    """An address that gets nothing: `reason` is hard_bounce, complaint, unsubscribe, manual, import or invalid.
    `address_hash` is a keyed hash, so that the entry outlives an erasure."""

    __tablename__ = "suppression"

    channel: str = Field(primary_key=True, max_length=32)
    address_hash: str = Field(primary_key=True, max_length=64)
    reason: str = Field(max_length=32)
    source: str = Field(default="", max_length=200)
    created_at: datetime
