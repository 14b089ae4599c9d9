"""The inbox that contacts have on the customer's site

Revision 0037, after 0036.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "in_app_message",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("idempotency_key", sa.String(160), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("parts", Json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_in_app_message_contact_id_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_in_app_message")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_in_app_message_idempotency_key")),
    )
    op.create_index("ix_in_app_message_contact", "in_app_message", ["contact_id", "id"])
    op.create_index("ix_in_app_message_expires_at", "in_app_message", ["expires_at"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
