"""Daily limits and warm-up plans of accounts and sending domains; bounces and complaints are counted for domains, too

Revision 0049, after 0048. Nothing is limited until somebody says so. Names have room for a domain.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("sending_delta", "sending_day", "sending_level", "stopped_account"):
        with op.batch_alter_table(name) as batch_op:
            batch_op.alter_column("account", existing_type=sa.String(130), type_=sa.String(260), existing_nullable=False)
    op.create_table(
        "sending_plan",
        sa.Column("account", sa.String(260), nullable=False),
        sa.Column("a_day", sa.Integer(), nullable=False),
        sa.Column("warm_up_from", sa.Date(), nullable=True),
        sa.Column("warm_up_first", sa.Integer(), nullable=False),
        sa.Column("warm_up_growth", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_sending_plan")),
    )
    op.create_table(
        "sending_plan_day",
        sa.Column("account", sa.String(260), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "day", name=op.f("pk_sending_plan_day")),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
