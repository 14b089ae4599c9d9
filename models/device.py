"""The browsers and phones that contacts have registered for push messages."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from models.columns import big_id


class Device(SQLModel, table=True):
    """A browser or an app on a phone that one contact gets push messages on. Everything here is personal data.

    `address` is the endpoint of a browser's subscription or the token of an app; `address_hash` (SHA-256) finds it, and makes it one person's at
    a time. `p256dh` and `auth` are the keys to which messages for a browser are encrypted. `made_for`: the public VAPID key that a
    browser subscribed with; no other key reaches it. `app`: the site or the app it is of.
    """

    __tablename__ = "device"
    __table_args__ = (Index("ix_device_contact", "contact_id", "last_seen_at"), Index("ix_device_last_seen_at", "last_seen_at"))

    id: int | None = big_id()
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    kind: str = Field(max_length=16)
    """web, android or ios"""
    address: str = Field(max_length=2_048)
    address_hash: str = Field(unique=True, max_length=64)
    p256dh: str = Field(default="", max_length=100)
    auth: str = Field(default="", max_length=40)
    made_for: str = Field(default="", max_length=100)
    app: str = Field(default="", max_length=200)
    language: str = Field(default="", max_length=35)
    created_at: datetime
    last_seen_at: datetime
