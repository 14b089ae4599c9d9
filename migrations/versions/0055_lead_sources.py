"""How contacts came: their first and last touch

Revision 0055, after 0054. Contacts from before have none until they come again.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def _touch(name: str) -> list[sa.Column[Any]]:
    texts = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
    return [
        sa.Column(f"{name}_kind", sa.String(16), nullable=False),
        sa.Column(f"{name}_source_id", sa.String(64), nullable=True),
        *(sa.Column(f"{name}_{text}", sa.String(200), nullable=True) for text in texts),
        sa.Column(f"{name}_referrer", sa.String(500), nullable=True),
        sa.Column(f"{name}_landing_page", sa.String(500), nullable=True),
        sa.Column(f"{name}_at", sa.DateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "lead_source",
        sa.Column("contact_id", sa.String(32), nullable=False),
        *_touch("first"),
        *_touch("last"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_lead_source_contact_id_contact")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_lead_source")),
    )
    op.create_index("ix_lead_source_last_at", "lead_source", ["last_at"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
