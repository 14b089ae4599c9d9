"""Segments

Revision 0050, after 0049.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _of_segment() -> sa.Column[int]:
    return sa.Column("segment_id", BigId, autoincrement=False, nullable=False)


def _of_contact() -> sa.Column[str]:
    return sa.Column("contact_id", sa.String(32), nullable=False)


def _both(name: str) -> tuple[sa.ForeignKeyConstraint, sa.ForeignKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f(f"fk_{name}_segment_id_segment")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f(f"fk_{name}_contact_id_contact")),
    )


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("rule", Json, nullable=True),
        sa.Column("topics", Json, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("fill_job", sa.String(32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("key", name=op.f("uq_segment_key")),
    )
    op.create_table(
        "segment_member",
        _of_segment(),
        _of_contact(),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        *_both("segment_member"),
        sa.PrimaryKeyConstraint("segment_id", "contact_id", name=op.f("pk_segment_member")),
    )
    op.create_index("ix_segment_member_contact", "segment_member", ["contact_id", "segment_id"])
    op.create_table(
        "segment_mark",
        _of_contact(),
        _of_segment(),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("hops", sa.Integer(), nullable=False),
        *_both("segment_mark"),
        sa.PrimaryKeyConstraint("contact_id", "segment_id", name=op.f("pk_segment_mark")),
    )
    op.create_index("ix_segment_mark_marked", "segment_mark", ["marked_at", "contact_id"])
    op.create_index("ix_segment_mark_segment_id", "segment_mark", ["segment_id"])
    op.create_table(
        "segment_flip",
        _of_contact(),
        _of_segment(),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_both("segment_flip"),
        sa.PrimaryKeyConstraint("contact_id", "segment_id", name=op.f("pk_segment_flip")),
    )
    op.create_index("ix_segment_flip_at", "segment_flip", ["at", "contact_id"])
    op.create_index("ix_segment_flip_segment", "segment_flip", ["segment_id", "contact_id"])
    op.create_table(
        "segment_day",
        _of_segment(),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_segment_day_segment_id_segment")),
        sa.PrimaryKeyConstraint("segment_id", "day", name=op.f("pk_segment_day")),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
