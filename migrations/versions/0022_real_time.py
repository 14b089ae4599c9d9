"""Sessions, links and locks by the world's time

Revision 0022, after 0021. Where the workspace has a clock of its own (staging), theirs were stamped by it: everybody logs in anew there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

STAMPED = ("login_session", "login_token", "login_failure", "known_network")


def upgrade() -> None:
    stamp = sa.table("stamp", sa.column("clock", sa.JSON()))
    if op.get_bind().execute(sa.select(stamp.c.clock)).scalar():
        for name in STAMPED:
            op.execute(sa.delete(sa.table(name)))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
