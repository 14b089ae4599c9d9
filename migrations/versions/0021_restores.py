"""What may have left before a backup was restored

Revision 0021, after 0020.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "restore",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("assume", sa.String(8), nullable=False),
        sa.Column("restored_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restore")),
    )
    op.create_table(
        "restored_run",
        sa.Column("restore_id", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("visits", JSON, nullable=False),
        sa.Column("leaves_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["restore_id"], ["restore.id"], name=op.f("fk_restored_run_restore_id")),
        sa.PrimaryKeyConstraint("restore_id", "run_id", name=op.f("pk_restored_run")),
    )
    op.create_index(op.f("ix_restored_run_run_id"), "restored_run", ["run_id"])
    op.create_table(
        "restored_message",
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("restore_id", sa.String(32), nullable=False),
        sa.Column("assumed", sa.String(8), nullable=False),
        sa.Column("decided_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["restore_id"], ["restore.id"], name=op.f("fk_restored_message_restore_id")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_restored_message")),
    )
    op.create_index("ix_restored_message_assumed", "restored_message", ["restore_id", "assumed", "message_id"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
