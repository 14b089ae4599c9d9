"""Whose a personalised link is, so that an erasure finds it

Revision 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("link", sa.Column("contact_id", sa.String(length=32), nullable=True))
    op.create_index("ix_link_contact_id", "link", ["contact_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
