"""The index of merged contacts holds those only

Revision 0062, after 0061. With everybody in it, SQLite took "is merged into nobody" for a search by this index: it read all contacts for a page of
25, and sorted them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

MERGED = sa.text("merged_into IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_contact_merged_into", "contact")
    op.create_index("ix_contact_merged_into", "contact", ["merged_into"], sqlite_where=MERGED, postgresql_where=MERGED)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
