"""Coupon codes that messages hand out, each to one person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text as sql_text
from sqlmodel import Field, Index, SQLModel

from models.columns import big_id

_RESERVED = "state = 'reserved'"
RESERVED_COUPON = sql_text(f"coupon.{_RESERVED}")
"""The few codes whose message is on its way. A query finds them by their index only if it says this, word for word."""


class CouponPool(SQLModel, table=True):
    """Codes of one sort, which templates take as `coupon("KEY")`."""

    __tablename__ = "coupon_pool"

    key: str = Field(primary_key=True, max_length=64)
    name: str = Field(max_length=120)
    per_contact: bool = False
    """A contact gets the same code in every message, and keeps it."""
    fallback: str = Field(default="", max_length=120)
    """Shown where no code is left; empty: the message is skipped."""
    low_at: int = 100
    """The team is told when fewer codes than this are free; 0: never."""
    expires_at: datetime | None = None
    """No code is handed out from then on."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    low_since: datetime | None = None
    """Since when it is running low (real time); None while there are enough."""


class Coupon(SQLModel, table=True):
    """A code. `state`: free, reserved (its message is being sent), sent (it has left, or may have)."""

    __tablename__ = "coupon"
    __table_args__ = (
        Index("ix_coupon_pool", "pool_key", "state", "id"),
        Index("ix_coupon_reserved", "id", sqlite_where=sql_text(_RESERVED), postgresql_where=sql_text(_RESERVED)),
        Index("ix_coupon_contact", "contact_id", "pool_key"),
        Index(
            "ix_coupon_message",
            "message_id",
            "pool_key",
            unique=True,
            sqlite_where=sql_text("message_id IS NOT NULL"),
            postgresql_where=sql_text("message_id IS NOT NULL"),
        ),
    )

    id: int | None = big_id()
    pool_key: str = Field(foreign_key="coupon_pool.key", max_length=64)
    code: str = Field(unique=True, max_length=64)
    state: str = Field(default="free", max_length=8)
    contact_id: str | None = Field(default=None, foreign_key="contact.id", max_length=32)
    message_id: str | None = Field(default=None, max_length=32)
    """Of the ledger, whose row may come later."""
    run_id: str | None = Field(default=None, max_length=32)
    reserved_at: datetime | None = None
