"""What stored events have still to set off, and which processes are alive

Revision 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = UTCDateTime()


def upgrade() -> None:
    op.create_table(
        "unrouted",
        sa.Column("event_id", BigId, nullable=False),
        sa.Column("part", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", Instant, nullable=False),
        sa.Column("next_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_unrouted_event_id")),
        sa.PrimaryKeyConstraint("event_id", "part", name=op.f("pk_unrouted")),
    )
    op.create_index("ix_unrouted_next", "unrouted", ["next_at", "event_id"], unique=False)
    op.create_table(
        "process",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("behaviours", Json, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("seen_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
