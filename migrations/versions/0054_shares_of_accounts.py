"""Several accounts carry one channel, each a share

Revision 0054, after 0053. Whatever carries a channel now carries it alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("channel_account", sa.Column("shares", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
