"""What was sent keeps the further parts of its template

Revision 0032, after 0031. Messages from before have none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    for name in ("body", "outbox_item"):
        op.add_column(name, sa.Column("parts", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
