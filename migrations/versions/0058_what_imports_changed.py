"""What imports changed, so that they can be undone

Revision 0058, after 0057. Imports from before cannot be undone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.columns import JsonType

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_change",
        sa.Column("import_id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("what", JsonType, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import_job.id"], name=op.f("fk_import_change_import_id_import_job")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_import_change_contact_id_contact")),
        sa.PrimaryKeyConstraint("import_id", "contact_id", name=op.f("pk_import_change")),
    )
    op.create_index("ix_import_change_contact", "import_change", ["contact_id"])
    op.create_index("ix_import_change_at", "import_change", ["at"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
