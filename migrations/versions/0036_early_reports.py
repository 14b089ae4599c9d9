"""Reports of providers that overtook the answer to their send are kept for an hour

Revision 0036, after 0035.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "early_report",
        sa.Column("id", Big, nullable=False),
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("provider_id", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_report")),
        sa.UniqueConstraint("account", "message_id", "provider_id", "kind", name=op.f("uq_early_report_account")),
    )
    op.create_index("ix_early_report_tried", "early_report", ["tried_at"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
