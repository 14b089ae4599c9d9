"""Counts have days, messages their channel and version of the template, and the control group keys of its own

Revision 0030, after 0029. What was counted before has no day and stays in the totals; when that ends is noted at each journey that is there, so that
taking back what happened before puts nothing on a day either. The control group is counted from its runs.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

CONTROL_GROUP = "INSERT INTO tally (journey_id, version_number, node, what, outlet, count) SELECT journey_id, version_number, '', '{what}', '', count(*) FROM run WHERE {where} GROUP BY journey_id, version_number"
COUNTED = {"held_out": "status = 'held_out'", "held_out_goal": "status = 'held_out' AND goal_at IS NOT NULL"}


def upgrade() -> None:
    op.add_column("tally_delta", sa.Column("day", sa.Date(), nullable=True))
    op.create_table(
        "tally_day",
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("outlet", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_tally_day_journey_id_journey")),
        sa.PrimaryKeyConstraint(
            "journey_id", "day", "version_number", "node", "what", "outlet", "channel", "template_version", name=op.f("pk_tally_day")
        ),
    )
    op.add_column("journey", sa.Column("dated_since", sa.DateTime(timezone=True), nullable=True))
    journey = sa.table("journey", sa.column("dated_since", UTCDateTime()))
    op.execute(sa.update(journey).values(dated_since=datetime.now(UTC)))
    for what, where in COUNTED.items():
        op.execute(CONTROL_GROUP.format(what=what, where=where))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
