"""Mails that come in."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from models.columns import big_id


class InboundMail(SQLModel, table=True):
    """A mail that was dealt with, so that the same one changes nothing again; for some weeks. It holds no word of it, and nobody's address.

    `digest` names the mail by whichever way it came (`activities.inbound.mail.digest_of`), `kind` is what it was, `outcome` what came of it,
    `via` how it came: mailbox, command or api.
    """

    __tablename__ = "inbound_mail"
    __table_args__ = (Index("ix_inbound_mail_received", "received_at"),)

    id: int | None = big_id()
    digest: str = Field(unique=True, max_length=64)
    kind: str = Field(max_length=16)
    outcome: str = Field(default="", max_length=16)
    via: str = Field(max_length=16)
    received_at: datetime
