"""Leases of calls and the age of files by real time

Revision 0038, after 0037. Where the workspace has a clock of its own (staging), theirs were stamped by it: they become the instants that it
stands for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

STAMPED = (("message", "lease_until"), ("upload", "created_at"))
PAGE = 1_000


def upgrade() -> None:
    stamp = sa.table("stamp", sa.column("clock", sa.JSON()))
    clock = op.get_bind().execute(sa.select(stamp.c.clock)).scalar()
    if clock:
        for name, column in STAMPED:
            _turn(name, column, clock)


def _turn(name: str, column: str, clock: dict[str, Any]) -> None:
    rows = sa.table(name, sa.column("id", sa.String()), sa.column(column, sa.DateTime(timezone=True)))
    at = rows.c[column]
    after = ""
    while page := _page(rows, at, after):
        for id, instant in page:
            op.get_bind().execute(sa.update(rows).where(rows.c.id == id).values({column: _real(instant, clock)}))
        after = page[-1][0]


def _page(rows: Any, at: Any, after: str) -> list[Any]:
    wanted = sa.select(rows.c.id, at).where(rows.c.id > after, at.is_not(None)).order_by(rows.c.id).limit(PAGE)
    return list(op.get_bind().execute(wanted))


def _real(virtual: datetime, clock: dict[str, Any]) -> datetime:
    """SQLite gives instants back without their zone, which is UTC."""
    aware = virtual.replace(tzinfo=UTC) if virtual.tzinfo is None else virtual
    real, other = (datetime.fromisoformat(clock[name]) for name in ("real_anchor", "virtual_anchor"))
    return real + (aware - other) / clock["factor"]


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
