"""Whom a trigger's own condition kept out, by journey

Revision 0020, after 0019.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UNMET = "reason = 'condition'"


def upgrade() -> None:
    op.create_index(
        "ix_refusal_unmet", "refusal", ["journey_id", "id"], unique=False, sqlite_where=sa.text(UNMET), postgresql_where=sa.text(UNMET)
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
