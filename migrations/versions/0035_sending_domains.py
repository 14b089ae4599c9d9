"""What the DNS says about sending domains

Revision 0035, after 0034.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "sending_domain",
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("domain", sa.String(253), nullable=False),
        sa.Column("marks", json, nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("allowed", json, nullable=False),
        sa.PrimaryKeyConstraint("account", "domain", name=op.f("pk_sending_domain")),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
