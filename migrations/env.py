"""Alembic's entry point: it runs on the connection that `models.migrate` hands over, one transaction for all revisions."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

import models  # noqa: F401  (fills the metadata)


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Writes our column types by the short names that `script.py.mako` defines, so that a revision does not follow later models."""
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "Instant"
    if isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    if isinstance(item, sa.JSON):
        return "Json"
    if isinstance(item, sa.BigInteger):
        return "BigId"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite cannot alter a column: the table is copied
    render_item=render_item,
    compare_type=True,
    transaction_per_migration=False,
)
context.run_migrations()
