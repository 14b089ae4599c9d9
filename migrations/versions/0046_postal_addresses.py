"""A postal address of the contact

Revision 0046, after 0045. What tracking calls have left in the attribute `address` so far is no postal address yet: the next call with it
makes one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("contact") as batch_op:
        batch_op.add_column(sa.Column("postal_address", sa.String(320), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
