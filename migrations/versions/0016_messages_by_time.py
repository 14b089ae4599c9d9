"""Messages by time, and those that somebody looks for

Revision 0016, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

UNUSUAL = "status IN ('bounced','failed','held','skipped','uncertain')"


def upgrade() -> None:
    op.create_index("ix_message_time", "message", ["planned_at", "id"], unique=False)
    op.create_index("ix_message_journey_time", "message", ["journey_id", "planned_at", "id"], unique=False)
    op.create_index(
        "ix_message_unusual",
        "message",
        ["status", "planned_at", "id"],
        unique=False,
        sqlite_where=sa.text(UNUSUAL),
        postgresql_where=sa.text(UNUSUAL),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
