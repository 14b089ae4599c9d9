"""Indexes for what the keeper asks at every tick, so that it never reads a whole table

Revision 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With the start in it, or the newest run of a contact is looked for among all runs of the journey.
    op.drop_index("ix_run_contact", table_name="run")
    op.create_index("ix_run_contact", "run", ["contact_id", "journey_id", "started_at"], unique=False)
    _where_known("ix_run_ended", "run", "ended_at")
    _where_known("ix_subscription_until", "subscription", "until")
    op.create_index("ix_contact_timezone", "contact", ["timezone"], unique=False)
    op.create_index("ix_migrated_run_run_id", "migrated_run", ["run_id"], unique=False)
    op.create_index("ix_task_state", "task", ["state", "due_at"], unique=False)
    op.create_index("ix_login_failure_last_at", "login_failure", ["last_at"], unique=False)


def _where_known(name: str, table: str, column: str) -> None:
    """Without the rows where it is NULL: a search for those would else come here and miss the index made for it."""
    known = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, [column], unique=False, sqlite_where=known, postgresql_where=known)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
