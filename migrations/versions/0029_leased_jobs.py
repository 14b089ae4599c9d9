"""Background jobs are taken by workers, each for a while

Revision 0029, after 0028. Jobs that run are free for the first worker that looks.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("leased_by", sa.String(32), nullable=False, server_default=""))
    op.add_column("job", sa.Column("free_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
