"""Open runs of a version in the order of their ids, as a migration and its forecast go through them

Revision 0027, after 0026. An index; no row changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    columns = ["journey_id", "version_number", "id"]
    op.create_index("ix_run_version_open", "run", columns, unique=False, sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
