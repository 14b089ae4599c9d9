"""Whether the statement that holds named its own instant

Revision 0004, after 0003. Statements from before count as dated, as they did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consent_state", sa.Column("dated", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
