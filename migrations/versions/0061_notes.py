"""Notes on contacts and logged calls; the timeline of a contact is read by its indexes

Revision 0061, after 0060.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
BY_TIME = {"message": "planned_at", "score_change": "changed_at", "refusal": "refused_at"}
"""Table -> when its rows happened, for the index of its rows of a contact."""


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("text", sa.String(4_000), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_note_contact_id_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
    )
    op.create_index("ix_note_contact", "note", ["contact_id", "kind", "at", "id"])
    op.create_index("ix_event_contact_time", "event", ["contact_id", "occurred_at", "id"])
    for table, at in BY_TIME.items():
        op.drop_index(f"ix_{table}_contact", table_name=table)
        op.create_index(f"ix_{table}_contact", table, ["contact_id", at, "id"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
