"""Kinds and roles of keys; which contacts an authenticated sender has named

Revision 0008, after 0007. Write keys from before become server keys, so that whatever uses them goes on; admin keys keep the role admin.
Contacts known by more than an anonymous id count as vouched for.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_key", sa.Column("role", sa.String(length=16), nullable=False, server_default=""))
    op.execute("UPDATE api_key SET role = 'admin' WHERE kind = 'admin'")
    op.execute("UPDATE api_key SET kind = 'server' WHERE kind = 'write'")
    op.add_column("contact", sa.Column("vouched", sa.Boolean(), nullable=False, server_default=sa.true()))
    contact = sa.table("contact", sa.column("id", sa.String), sa.column("vouched", sa.Boolean))
    identity = sa.table("identity", sa.column("contact_id", sa.String), sa.column("kind", sa.String))
    named = sa.select(identity.c.contact_id).where(identity.c.contact_id == contact.c.id, identity.c.kind != "anonymous_id").exists()
    op.execute(contact.update().where(~named).values(vouched=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
