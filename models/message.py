"""The send ledger, the built-in outbox, and what recipients did with a message."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Text
from sqlalchemy import text as sql_text
from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field, new_id

_OPEN = "status IN ('claimed','held','uncertain')"
OPEN_MESSAGE = sql_text(f"message.{_OPEN}")
"""The few messages that are not over. A query finds them by their index only if it says this, word for word."""


LEFT = "left"
"""Reason of an uncertain message that a person has left as it is; it is out of the list of those to decide."""
UNUSUAL_STATUSES = ("bounced", "failed", "held", "skipped", "uncertain")
_UNUSUAL = "status IN ('bounced','failed','held','skipped','uncertain')"
UNUSUAL_MESSAGE = sql_text(f"message.{_UNUSUAL}")
"""Those that somebody looks for; most are simply sent. A query finds them by their index only if it says this, word for word."""


class Message(SQLModel, table=True):
    """One communication (or other effect) to one contact on one channel, with its whole life: the ledger row that makes it happen once.

    `once_key` is `run:node:visit` for journeys, `test:<id>` for test sends. `status`: planned, held, claimed, sent, delivered,
    bounced, failed, skipped, uncertain. `claimed_at` with `lease_until` (the only real time here) marks a provider call in flight or in doubt.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_contact", "contact_id", "planned_at", "id"),
        Index("ix_message_cap", "contact_id", "cap_class", "sent_at"),
        Index("ix_message_journey", "journey_id", "node", "status"),
        Index("ix_message_provider", "provider", "provider_id"),
        Index("ix_message_run", "run_id"),
        Index(
            "ix_message_mailbox_key",
            "mailbox_key",
            unique=True,
            sqlite_where=sql_text("mailbox_key IS NOT NULL"),
            postgresql_where=sql_text("mailbox_key IS NOT NULL"),
        ),
        Index("ix_message_time", "planned_at", "id"),
        Index("ix_message_journey_time", "journey_id", "planned_at", "id"),
        Index(
            "ix_message_unusual",
            "status",
            "planned_at",
            "id",
            sqlite_where=sql_text(_UNUSUAL),
            postgresql_where=sql_text(_UNUSUAL),
        ),
        Index("ix_message_open", "status", "lease_until", sqlite_where=sql_text(_OPEN), postgresql_where=sql_text(_OPEN)),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    once_key: str = Field(unique=True, max_length=160)
    mailbox_key: str | None = Field(default=None, max_length=64)
    """Names the send and the mailbox while this message is the one that goes there (decision 014); free again when it fails."""
    run_id: str | None = Field(default=None, max_length=32)
    journey_id: str | None = Field(default=None, max_length=32)
    version_number: int | None = None
    node: str = Field(default="", max_length=64)
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    channel: str = Field(max_length=64)
    purpose: str = Field(default="marketing", max_length=64)
    message_class: str = Field(default="marketing", max_length=16)
    topic: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """Of the workspace's topics; empty: of none."""
    cap_class: str = Field(default="default", max_length=64)
    priority: int = 3
    template: str = Field(default="", max_length=64)
    template_version: int | None = None
    locale: str = Field(default="", max_length=35)
    subject: str = Field(default="", max_length=998)
    status: str = Field(default="planned", max_length=16)
    reason: str = Field(default="", max_length=64)
    attempts: int = 0
    provider: str = Field(default="", max_length=64)
    account: str = Field(default="", max_length=130, sa_column_kwargs={"server_default": ""})
    """The provider account of the last call; empty where it goes through none, and in rows from before there were any."""
    provider_id: str = Field(default="", max_length=200)
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    held_until: datetime | None = None
    planned_at: datetime
    sent_at: datetime | None = None
    opened_at: datetime | None = None
    """First human open; machine opens are only in `hit`."""
    clicked_at: datetime | None = None
    bounced_at: datetime | None = None
    answer: dict[str, Any] = json_field()
    """The provider's normalised answer; ids and codes only."""
    body_id: str | None = Field(default=None, max_length=32)
    test: bool = False


class Body(SQLModel, table=True):
    """The rendered message as sent, apart from the ledger so that it can be erased."""

    __tablename__ = "body"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    recipient: str = Field(default="", max_length=320)
    sender: str = Field(default="", max_length=320)
    subject: str = Field(default="", max_length=998)
    headers: dict[str, Any] = json_field()
    html: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    text: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    parts: dict[str, Any] = json_field()
    """Part of the template -> text, of those that have no column here."""
    delivery: dict[str, Any] = json_field()
    """How it is to be delivered, as the step said it: `lifetime_seconds`, `urgency`, `replaces`; what it left open is missing."""
    created_at: datetime


class OutboxItem(SQLModel, table=True):
    """A message the `outbox` provider accepted: what a mail server would have got. One per ledger key."""

    __tablename__ = "outbox_item"

    id: int | None = big_id()
    idempotency_key: str = Field(unique=True, max_length=160)
    message_id: str | None = Field(default=None, index=True, max_length=32)
    channel: str = Field(max_length=64)
    recipient: str = Field(default="", max_length=320)
    subject: str = Field(default="", max_length=998)
    html: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    text: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    headers: dict[str, Any] = json_field()
    parts: dict[str, Any] = json_field()
    """As `Body.parts`."""
    accepted_at: datetime = Field(index=True)
    opened_at: datetime | None = None


class Link(SQLModel, table=True):
    """A stored link target; tracking tokens name the row, so there is no open redirect."""

    __tablename__ = "link"

    id: int | None = big_id()
    digest: str = Field(unique=True, max_length=64)
    url: str = Field(sa_column=Column(Text, nullable=False))
    contact_id: str | None = Field(default=None, index=True, max_length=32)
    """The only contact whose messages have it, so that an erasure takes it along; None once a second contact got it."""
    created_at: datetime


class Hit(SQLModel, table=True):
    """One open or click as it arrived, with what we think it was: human, prefetch, scanner or unknown."""

    __tablename__ = "hit"
    __table_args__ = (Index("ix_hit_message", "message_id", "id"),)

    id: int | None = big_id()
    message_id: str = Field(foreign_key="message.id", max_length=32)
    kind: str = Field(max_length=8)
    link_id: int | None = None
    agent_class: str = Field(max_length=16)
    user_agent: str = Field(default="", max_length=300)
    hit_at: datetime


class Template(SQLModel, table=True):
    """A message template as edited. `kind` is a channel's, text or partial (a piece of mails)."""

    __tablename__ = "template"

    key: str = Field(primary_key=True, max_length=64)
    name: str = Field(max_length=120)
    kind: str = Field(default="email", max_length=16)
    message_class: str = Field(default="marketing", max_length=16)
    topic: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """What its messages are about unless a step says otherwise; of the workspace's topics, empty: of none."""
    sender: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """Key of whom its messages are from unless a step says otherwise; empty: the workspace's usual sender."""
    reply_to: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """Key of who gets answers, likewise; empty: whoever the sender says."""
    link_parameters: dict[str, Any] = json_field()
    """What is added to its links (`journeys.link_parameters`); empty: what the workspace says."""
    folder: str = Field(default="", max_length=120)
    tags: list[str] = json_field(list)
    variants: dict[str, Any] = json_field()
    """locale (`default` included) -> {part of its kind: text}"""
    revision: int = 1
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class TemplateVersion(SQLModel, table=True):
    """An immutable compiled state of a template; versions of journeys pin its number."""

    __tablename__ = "template_version"

    key: str = Field(foreign_key="template.key", primary_key=True, max_length=64)
    number: int = Field(primary_key=True)
    digest: str = Field(max_length=64)
    source: dict[str, Any] = json_field()
    compiled: dict[str, Any] = json_field()
    """locale -> {"subject", "html", "text", "links", "fields", "parts"}"""
    partials: dict[str, int] = json_field()
    """key of each partial put in -> its version"""
    link_parameters: dict[str, Any] = json_field()
    """As `Template.link_parameters`."""
    created_at: datetime
