"""Drafts that were replaced, for merging, and which builders are open

Revision 0026, after 0025. Nothing of a journey changes; a page that was open before has nothing to be compared with and is asked as a whole.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "draft_revision",
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_draft_revision_journey_id_journey")),
        sa.PrimaryKeyConstraint("journey_id", "revision", name=op.f("pk_draft_revision")),
    )
    op.create_table(
        "open_builder",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("process_id", sa.String(32), nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_open_builder_journey_id_journey")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_open_builder")),
    )
    op.create_index("ix_open_builder_journey_id", "open_builder", ["journey_id"], unique=False)
    op.create_index("ix_open_builder_process_id", "open_builder", ["process_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
