"""Topics of messages

Revision 0044, after 0043. What was written and sent before is about none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    for name in ("template", "message"):
        op.add_column(name, sa.Column("topic", sa.String(64), nullable=False, server_default=""))
    op.add_column("opt_in", sa.Column("topics", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
