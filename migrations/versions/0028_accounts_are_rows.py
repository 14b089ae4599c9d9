"""Provider accounts are rows, channels name them, and messages say which account carried them

Revision 0028, after 0027. No account is made here: the first start takes those that the environment names. Messages from before belong to none
that can be named; what is still in doubt of them is settled by their provider's name.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_account",
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tested_code", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(120), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_provider_account")),
    )
    op.create_table(
        "channel_account",
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_account")),
    )
    op.add_column("message", sa.Column("account", sa.String(130), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
