"""E-mails that members write to one contact

Revision 0064, after 0063.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
DUE = sa.text("next_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "personal_mail",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("next_at", INSTANT, nullable=True),
        sa.Column("give_up_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_personal_mail_contact_id_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_mail")),
    )
    op.create_index(op.f("ix_personal_mail_contact_id"), "personal_mail", ["contact_id"])
    op.create_index("ix_personal_mail_author", "personal_mail", ["author", "created_at"])
    op.create_index("ix_personal_mail_due", "personal_mail", ["next_at"], sqlite_where=DUE, postgresql_where=DUE)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
