"""Which version of which partial stands in a version of a template

Revision 0015, after 0014. Versions from before hold none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("template_version") as batch:
        batch.add_column(sa.Column("partials", Json, nullable=False, server_default="{}"))
    with op.batch_alter_table("template_version") as batch:
        batch.alter_column("partials", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
