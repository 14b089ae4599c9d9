"""Coupon codes

Revision 0045, after 0044.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RESERVED = sa.text("state = 'reserved'")
NAMED = sa.text("message_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "coupon_pool",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("per_contact", sa.Boolean(), nullable=False),
        sa.Column("fallback", sa.String(120), nullable=False),
        sa.Column("low_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("low_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_coupon_pool")),
    )
    op.create_table(
        "coupon",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("pool_key", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=True),
        sa.Column("message_id", sa.String(32), nullable=True),
        sa.Column("run_id", sa.String(32), nullable=True),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_key"], ["coupon_pool.key"], name=op.f("fk_coupon_pool_key_coupon_pool")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_coupon_contact_id_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("code", name=op.f("uq_coupon_code")),
    )
    op.create_index("ix_coupon_pool", "coupon", ["pool_key", "state", "id"])
    op.create_index("ix_coupon_reserved", "coupon", ["id"], sqlite_where=RESERVED, postgresql_where=RESERVED)
    op.create_index("ix_coupon_contact", "coupon", ["contact_id", "pool_key"])
    op.create_index("ix_coupon_message", "coupon", ["message_id", "pool_key"], unique=True, sqlite_where=NAMED, postgresql_where=NAMED)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
