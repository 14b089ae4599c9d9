"""Mails that come in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field


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


class MailboxReading(SQLModel, table=True):
    """How far the mailbox of an account is read, and who reads it now (real time).

    `uid_validity` with `last_uid` name the last mail that was dealt with; another validity, or another `place`, begins anew with what came since `since`.
    """

    __tablename__ = "mailbox_reading"

    account: str = Field(primary_key=True, max_length=130)
    place: str = Field(default="", max_length=64)
    uid_validity: int = Field(default=0, sa_type=BigInteger)
    last_uid: int = Field(default=0, sa_type=BigInteger)
    since: datetime
    unmarked: list[int] = json_field(list)
    """UIDs of mails that were taken and are still to be marked or moved."""
    trying_uid: int = Field(default=0, sa_type=BigInteger)
    tries: int = 0
    """So often the mail `trying_uid` was begun with."""
    trying_code: str = Field(default="", max_length=64)
    """Why that came to nothing the last time."""
    holder: str = Field(default="", max_length=64)
    until: datetime
    """The holder's turn ends then."""
    next_at: datetime
    failures: int = 0
    """In a row."""
    read_at: datetime | None = None
    """When all that was there had been read."""
    taken: int = 0


class UnreadMail(SQLModel, table=True):
    """A mail of a mailbox that could not be dealt with and was passed over (real time); it lies there still. No word of it is kept."""

    __tablename__ = "unread_mail"
    __table_args__ = (
        Index("uq_unread_mail", "account", "uid_validity", "uid", unique=True),
        Index("ix_unread_mail_passed_at", "passed_at"),
    )

    id: int | None = big_id()
    account: str = Field(max_length=130)
    uid_validity: int = Field(sa_type=BigInteger)
    uid: int = Field(sa_type=BigInteger)
    code: str = Field(max_length=64)
    passed_at: datetime
