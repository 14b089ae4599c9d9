"""Tries at the door by member, network and house; sessions that know when they were proved; second factors

Revision 0014, after 0013. Every row stays; sessions from before count as not proved lately.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Instant = UTCDateTime()


def upgrade() -> None:
    op.add_column("login_failure", sa.Column("subject", sa.String(64), nullable=False, server_default=""))
    op.add_column("login_failure", sa.Column("audited_at", Instant, nullable=True))
    op.create_index("ix_login_failure_subject", "login_failure", ["subject"], unique=False)
    op.add_column("login_session", sa.Column("proved_at", Instant, nullable=True))
    op.create_table(
        "known_network",
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_known_network")),
    )
    op.create_index("ix_known_network_last_at", "known_network", ["last_at"], unique=False)
    op.create_table(
        "second_factor",
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.String(500), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("confirmed_at", Instant, nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_second_factor_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_recovery_code_member_id")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_recovery_code")),
    )
    op.create_index("ix_recovery_code_member_id", "recovery_code", ["member_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
