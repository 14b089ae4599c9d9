"""The inbox that contacts have on the customer's site or in their app."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field


class InAppMessage(SQLModel, table=True):
    """A message in a contact's inbox. `parts`: part of the template -> text. It is shown until it expires or is dismissed.

    Of one contact the ids grow in the order in which their rows can be seen, because whoever adds one holds the contact's row.
    """

    __tablename__ = "in_app_message"
    __table_args__ = (Index("ix_in_app_message_contact", "contact_id", "id"), Index("ix_in_app_message_expires_at", "expires_at"))

    id: int | None = big_id()
    idempotency_key: str = Field(unique=True, max_length=160)
    message_id: str = Field(max_length=32)
    """Of the ledger's row; there may be none: a provider can be used without the ledger."""
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    parts: dict[str, Any] = json_field()
    created_at: datetime
    expires_at: datetime
    read_at: datetime | None = None
    dismissed_at: datetime | None = None
