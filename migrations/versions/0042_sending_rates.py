"""How many messages accounts sent, how many bounced or were complained of, and which accounts that slows or stops

Revision 0042, after 0041. Counting begins with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sending_delta",
        sa.Column("id", Big, nullable=False),
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_delta")),
    )
    op.create_table(
        "sending_day",
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "day", "what", name=op.f("pk_sending_day")),
    )
    op.create_table(
        "sending_level",
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_from", sa.Date(), nullable=True),
        sa.Column("tried_before", sa.Integer(), nullable=False),
        sa.Column("bounced_before", sa.Integer(), nullable=False),
        sa.Column("complained_before", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_sending_level")),
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
