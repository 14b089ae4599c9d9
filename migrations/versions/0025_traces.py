"""Where the trace of an event and of a run goes on

Revision 0025, after 0024. Two columns without a value: no row is rewritten.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("event", "run"):
        op.add_column(table, sa.Column("trace", sa.String(55)))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
