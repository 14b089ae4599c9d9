"""The source of an event is a stable id, and no longer what its key is called

Revision 0031, after 0030. A key that is there keeps the word that its events have as their source, the first 64 characters of its name, whatever it is
called from now on: a call that is sent again after the upgrade is still known, and no event is touched, however many there are. Keys of one word
were one sender until now and stay one. New keys get an id.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_key", sa.Column("source", sa.String(64), nullable=False, server_default=""))
    op.execute("UPDATE api_key SET source = substr(name, 1, 64)")


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
