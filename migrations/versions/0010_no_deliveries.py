"""A column of messages that nothing writes goes: no provider reports deliveries

Revision 0010, after 0009.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE message DROP COLUMN delivered_at")


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
