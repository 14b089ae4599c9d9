"""Marks of segments name a topic and no segment

Revision 0053, after 0052. Whoever is marked now is asked about all segments.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
KEPT = (sa.column("contact_id", sa.String), sa.column("marked_at", INSTANT), sa.column("newest_at", INSTANT), sa.column("hops", sa.Integer))
SILENT = sa.column("silent", sa.Boolean)


def upgrade() -> None:
    contact, marked, newest, hops = KEPT
    told = sa.func.max(sa.case((SILENT, 0), else_=1))
    wanted = sa.select(contact, sa.func.min(marked), sa.func.max(newest), sa.func.max(hops), told).group_by(contact)
    rows = op.get_bind().execute(wanted.select_from(sa.table("segment_mark", *KEPT, SILENT))).all()
    op.drop_table("segment_mark")
    made = op.create_table(
        "segment_mark",
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("topic", sa.String(210), nullable=False),
        sa.Column("marked_at", INSTANT, nullable=False),
        sa.Column("newest_at", INSTANT, nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_segment_mark_contact_id_contact")),
        sa.PrimaryKeyConstraint("contact_id", "topic", name=op.f("pk_segment_mark")),
    )
    op.create_index("ix_segment_mark_marked", "segment_mark", ["marked_at", "contact_id"])
    names = ("contact_id", "marked_at", "newest_at", "hops")
    op.bulk_insert(made, [{**dict(zip(names, row[:4], strict=True)), "topic": "*", "silent": not row[4]} for row in rows])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
