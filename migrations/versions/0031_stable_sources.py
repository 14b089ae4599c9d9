"""The source of an event is a stable id, and no longer what its key is called

Revision 0031, after 0030. Keys of one name were one source until now, since that is how a key is rotated: they stay one. Their events get its id, so
that one that is sent again after the upgrade is still known. Events of keys that no longer exist, and of imports, keep the words they have.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

OURS = ("api", "merge", "preferences", "system", "task", "unmerge")
"""Words that events of our own have as their source, whatever a key is called."""


def upgrade() -> None:
    op.add_column("api_key", sa.Column("source", sa.String(64), nullable=False, server_default=""))
    key = sa.table("api_key", sa.column("id"), sa.column("name"), sa.column("source"))
    event = sa.table("event", sa.column("source"), sa.column("type"))
    connection = op.get_bind()
    named = connection.execute(sa.select(key.c.name, sa.func.min(key.c.id)).group_by(key.c.name)).all()
    for name, oldest in named:
        source = f"key:{oldest}"
        connection.execute(sa.update(key).where(key.c.name == name).values(source=source))
        theirs = sa.update(event).where(event.c.source == name[:64])
        connection.execute((theirs.where(event.c.type != "system") if name in OURS else theirs).values(source=source))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
