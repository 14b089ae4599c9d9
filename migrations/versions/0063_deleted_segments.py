"""Deleted segments can be taken back

Revision 0063, after 0062. Those that are being deleted now go for good.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("segment") as table:
        table.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("former_key", sa.String(64), nullable=False, server_default=""))
    with op.batch_alter_table("segment") as table:
        table.alter_column("former_key", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
