"""Double opt-ins are rows until they are confirmed

Revision 0033, after 0032. Nothing is read from what is there: a consent that was `pending` before waits for whoever asks again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opt_in",
        sa.Column("fields", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("made_contact", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("wording", sa.String(4_000), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("page", sa.String(2_000), nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_opt_in_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_in")),
    )
    op.create_index("ix_opt_in_address", "opt_in", ["address", "asked_at"])
    op.create_index("ix_opt_in_asked", "opt_in", ["asked_at", "id"])
    op.create_index("ix_opt_in_contact_id", "opt_in", ["contact_id"])
    due = sa.text("next_at IS NOT NULL")
    op.create_index("ix_opt_in_due", "opt_in", ["next_at"], sqlite_where=due, postgresql_where=due)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
