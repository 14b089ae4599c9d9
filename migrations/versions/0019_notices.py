"""Notices to the team, and which runs one has told of

Revision 0019, after 0018.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
GATHERING = sa.text("state = 'gathering'")
UNDELIVERED = sa.text("state IN ('waiting','claimed')")
STUCK = sa.text("status IN ('stuck','quarantined')")


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("topic", sa.String(24), nullable=False),
        sa.Column("about", sa.String(130), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index("uq_notice_gathering", "notice", ["topic", "about"], unique=True, sqlite_where=GATHERING, postgresql_where=GATHERING)
    op.create_index("ix_notice_about", "notice", ["topic", "about", "due_at"], unique=False)
    op.create_index("ix_notice_made", "notice", ["made_at"], unique=False)
    op.create_table(
        "notice_delivery",
        sa.Column("notice_id", sa.String(32), nullable=False),
        sa.Column("route", sa.String(8), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_notice_delivery_notice_id_notice")),
        sa.PrimaryKeyConstraint("notice_id", "route", "member_id", name=op.f("pk_notice_delivery")),
    )
    op.create_index(
        "ix_notice_delivery_open", "notice_delivery", ["next_at"], unique=False, sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED
    )
    op.add_column("run", sa.Column("notice_id", sa.String(32), nullable=True))
    op.create_index("ix_run_stuck", "run", ["journey_id", "notice_id", "id"], unique=False, sqlite_where=STUCK, postgresql_where=STUCK)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
