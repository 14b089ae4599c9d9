"""Clock triggers know what they leave out and when they last worked; contacts are found by their zone in the order of ids

Revision 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trigger_cursor", sa.Column("left_out", sa.Integer(), nullable=True))
    op.add_column("trigger_cursor", sa.Column("worked_at", UTCDateTime(), nullable=True))
    op.drop_index("ix_contact_timezone", table_name="contact")
    op.create_index("ix_contact_timezone", "contact", ["timezone", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
