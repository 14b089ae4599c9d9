"""Campaign parameters that templates add to their links

Revision 0060, after 0059. Nothing is added until somebody says so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    for table in ("template", "template_version"):
        op.add_column(table, sa.Column("link_parameters", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
