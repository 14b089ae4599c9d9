"""Lines of the audit trail that name the key they are sealed with

Revision 0018, after 0017. Lines from before have none, and are covered by the first line that has one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("key_id", sa.String(16), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
