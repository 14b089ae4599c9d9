"""What people typed as the reason of an act, outside the chain of the audit trail

Revision 0024, after 0023. Lines from before keep their reason in the chain, which cannot be changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_note",
        sa.Column("audit_id", number, sa.ForeignKey("audit.id", name="fk_audit_note_audit_id"), autoincrement=False, nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit_note"),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
