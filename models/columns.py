"""Column types and ids that every table shares."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

JsonType = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BigId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows itself only for INTEGER keys."""


def new_id() -> str:
    """32 hex digits, opaque, growing with time (48 bits of milliseconds, 80 random bits), so that indexes stay compact."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def json_field(default: Any = dict, *, nullable: bool = False) -> Any:
    """A JSON column. Changing the object in place is not saved: assign a new one."""
    if default is None:
        return Field(default=None, sa_column=Column(JsonType, nullable=True))
    return Field(default_factory=default, sa_column=Column(JsonType, nullable=nullable))


def big_id() -> Any:
    """A growing integer primary key."""
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
