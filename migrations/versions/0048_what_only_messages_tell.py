"""Bodies say how they are delivered; stops say whether only messages can end them

Revision 0048, after 0047.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("body", sa.Column("delivery", Json, nullable=False, server_default="{}"))
    op.add_column("stopped_account", sa.Column("by_policy", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
