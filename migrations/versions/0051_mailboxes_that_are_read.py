"""How far mailboxes are read, and the mails in them that could not be

Revision 0051, after 0050.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mailbox_reading",
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("unmarked", Json, nullable=False),
        sa.Column("trying_uid", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trying_code", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("next_at", Moment, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("read_at", Moment, nullable=True),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_mailbox_reading")),
    )
    op.create_table(
        "unread_mail",
        sa.Column("id", Big, nullable=False),
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("passed_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unread_mail")),
    )
    op.create_index("uq_unread_mail", "unread_mail", ["account", "uid_validity", "uid"], unique=True)
    op.create_index("ix_unread_mail_passed_at", "unread_mail", ["passed_at"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
