"""Double opt-ins: who asked for messages at an address, and whether the address has confirmed it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel

from models.columns import json_field, new_id

DUE_OPT_IN = text("opt_in.next_at IS NOT NULL")
"""Those of which a mail is to leave. A query finds them by their index only if it says this, word for word."""


class OptIn(SQLModel, table=True):
    """One request to be written to, made by whoever knows the address. It proves nothing until the mail that goes there is answered.

    `state`: waiting or confirmed. `sent`: mails that have met their end. `next_at`: when the next one is due, or how long the claim of one holds;
    None: none is. The once key of a mail is `opt_in:<id>:<number>`.
    """

    __tablename__ = "opt_in"
    __table_args__ = (
        Index("ix_opt_in_address", "address", "asked_at"),
        Index("ix_opt_in_due", "next_at", sqlite_where=text("next_at IS NOT NULL"), postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_opt_in_asked", "asked_at", "id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    made_contact: bool = False
    """Nobody was known by the address before."""
    address: str = Field(max_length=320)
    purpose: str = Field(max_length=64)
    wording: str = Field(default="", max_length=4_000)
    """What was read and agreed to, in `language`."""
    language: str = Field(max_length=35)
    source: str = Field(max_length=200)
    """`form:<key>`, or `api:<key id>`."""
    page: str = Field(default="", max_length=2_000)
    """The address of the page with the form, as far as its sender said it."""
    ip: str = Field(default="", max_length=64)
    """Whence it was asked, shortened."""
    fields: dict[str, Any] = json_field()
    """What else was filled in; it is the contact's once the address has confirmed."""
    topics: dict[str, Any] = json_field()
    """Key of each topic that was offered -> whether it was chosen; empty where none was, or none were offered."""
    further: list[Any] = json_field(list)
    """What else the same answer consents to on this channel: `{purpose, wording}` of each."""
    proof: dict[str, Any] = json_field()
    """What proves it besides, such as the form's version."""
    state: str = Field(default="waiting", max_length=16)
    sent: int = 0
    next_at: datetime | None = None
    asked_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None = None
