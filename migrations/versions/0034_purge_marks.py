"""How far old data has been emptied, and which inboxes hold an event

Revision 0034, after 0033. What is there is gone through from its beginning by the first daily job after the upgrade.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purge_mark",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("after", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_purge_mark")),
    )
    op.create_index("ix_inbox_event", "inbox", ["event_id"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
