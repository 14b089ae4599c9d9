"""What the pages need: tallies of journeys, folders and tags, passwords, uploads

Revision 0002, after 0001. The tally is filled from what happened before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = UTCDateTime()


def upgrade() -> None:
    _tallies()
    _pages()
    for statement in BACKFILL:
        op.execute(f"INSERT INTO tally (journey_id, version_number, node, what, outlet, count) {statement}")


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")


def _tallies() -> None:
    op.create_table(
        "tally",
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("outlet", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_tally_journey_id")),
        sa.PrimaryKeyConstraint("journey_id", "version_number", "node", "what", "outlet", name=op.f("pk_tally")),
    )
    op.create_table(
        "tally_delta",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_tally_delta_journey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally_delta")),
    )
    op.create_index("ix_tally_delta_journey", "tally_delta", ["journey_id", "id"], unique=False)


def _pages() -> None:
    with op.batch_alter_table("journey") as batch:
        batch.add_column(sa.Column("tags", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("template") as batch:
        batch.add_column(sa.Column("folder", sa.String(120), nullable=False, server_default=""))
        batch.add_column(sa.Column("tags", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("member") as batch:
        batch.add_column(sa.Column("preferences", Json, nullable=False, server_default="{}"))
    with op.batch_alter_table("login_token") as batch:
        batch.add_column(sa.Column("purpose", sa.String(16), nullable=False, server_default="login"))
    op.create_table(
        "login_failure",
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.Column("locked_until", Instant, nullable=True),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_login_failure")),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index("ix_upload_created_at", "upload", ["created_at"], unique=False)


MESSAGES = """journey_id IS NOT NULL AND version_number IS NOT NULL
       AND channel IN ('email', 'sms', 'whatsapp', 'push', 'in_app', 'postcard')"""
BACKFILL = (
    """SELECT r.journey_id, r.version_number, t.node, t.what, CASE WHEN t.what = 'left' THEN t.outlet ELSE '' END, count(*)
       FROM trail t JOIN run r ON r.id = t.run_id WHERE t.what IN ('entered', 'left') AND t.node <> '' GROUP BY 1, 2, 3, 4, 5""",
    """SELECT journey_id, version_number, node, 'waiting', '', count(*) FROM run WHERE ended_at IS NULL AND node <> '' GROUP BY 1, 2, 3""",
    """SELECT journey_id, version_number, '', 'runs', '', count(*) FROM run WHERE status <> 'held_out' GROUP BY 1, 2""",
    """SELECT journey_id, version_number, '', 'ended', '', count(*) FROM run WHERE status = 'ended' GROUP BY 1, 2""",
    """SELECT journey_id, version_number, '', 'goal', '', count(*) FROM run
       WHERE goal_at IS NOT NULL AND status <> 'held_out' GROUP BY 1, 2""",
    """SELECT journey_id, 0, '', 'refused', reason, count(*) FROM refusal GROUP BY 1, 5""",
    f"""SELECT journey_id, version_number, node, 'sent', '', count(*) FROM message
       WHERE {MESSAGES} AND sent_at IS NOT NULL GROUP BY 1, 2, 3""",
    f"""SELECT journey_id, version_number, node, 'opened', '', count(*) FROM message
       WHERE {MESSAGES} AND opened_at IS NOT NULL GROUP BY 1, 2, 3""",
    f"""SELECT journey_id, version_number, node, 'clicked', '', count(*) FROM message
       WHERE {MESSAGES} AND clicked_at IS NOT NULL GROUP BY 1, 2, 3""",
    f"""SELECT journey_id, version_number, node, status, CASE WHEN status = 'skipped' THEN reason ELSE '' END, count(*) FROM message
       WHERE {MESSAGES} AND status IN ('bounced', 'failed', 'skipped') GROUP BY 1, 2, 3, 4, 5""",
)
"""From rows that are there when the schema changes; later ones are counted as they happen."""
