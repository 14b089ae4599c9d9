"""Column types and ids that every table shares."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a later migration can drop it on SQLite too."""

JsonType = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BigId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows itself only for INTEGER keys."""


def new_id() -> str:
    """32 hex digits, opaque, growing with time (48 bits of milliseconds, 80 random bits), so that indexes stay compact."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def id_at(moment: datetime) -> str:
    """No id that is made at `moment` (real time) or later is smaller, and none made before is larger."""
    return f"{int(moment.timestamp() * 1_000):012x}{'0' * 20}"


def json_field(default: Any = dict, *, nullable: bool = False) -> Any:
    """A JSON column. Changing the object in place is not saved: assign a new one."""
    if default is None:
        return Field(default=None, sa_column=Column(JsonType, nullable=True))
    return Field(default_factory=default, sa_column=Column(JsonType, nullable=nullable))


def big_id() -> Any:
    """A growing integer primary key."""
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))


def event_ref(*, primary_key: bool = False, foreign_key: bool = False) -> Any:
    """An event's id in another table: as wide as `event.id`. Optional unless it is part of the primary key."""
    reference = (ForeignKey("event.id"),) if foreign_key else ()
    return Field(default=None, sa_column=Column(BigId, *reference, primary_key=primary_key, nullable=not primary_key, autoincrement=False))
