"""Scoring models, what their rules have given, thresholds that are reached, and grades

Revision 0059, after 0058. What scores are stays as it is: no rule has given any of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "score_model",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(48), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("definition", Json, nullable=False),
        sa.Column("topics", Json, nullable=False),
        sa.Column("gives", Json, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("announce", sa.Boolean(), nullable=False),
        sa.Column("job", sa.String(32), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_model")),
        sa.UniqueConstraint("key", name=op.f("uq_score_model_key")),
    )
    _of_contact(
        "score_booked",
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("score_group", sa.String(64), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        keys=("rule", "score_group"),
    )
    _of_contact(
        "score_reached",
        sa.Column("threshold", sa.String(40), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        keys=("threshold",),
    )
    _of_contact("score_flip", sa.Column("at", INSTANT, nullable=False))
    op.create_index("ix_score_flip_at", "score_flip", ["at", "contact_id"])
    op.create_table(
        "grade_day",
        sa.Column("grade", sa.String(2), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("grade", "day", name=op.f("pk_grade_day")),
    )
    op.add_column("contact", sa.Column("grade", sa.String(2), nullable=True))
    op.create_index("ix_contact_grade", "contact", ["grade", "id"])
    op.add_column("score_change", sa.Column("why", sa.String(16), nullable=False, server_default=""))
    op.add_column("score_change", sa.Column("model_id", Big, nullable=True))
    op.add_column("score_change", sa.Column("rule", sa.String(40), nullable=False, server_default=""))


def _of_contact(name: str, *columns: sa.Column[object], keys: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("model_id", Big, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f(f"fk_{name}_contact_id_contact")),
        sa.ForeignKeyConstraint(["model_id"], ["score_model.id"], name=op.f(f"fk_{name}_model_id_score_model")),
        sa.PrimaryKeyConstraint("contact_id", "model_id", *keys, name=op.f(f"pk_{name}")),
    )
    op.create_index(f"ix_{name}_model", name, ["model_id", "contact_id"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
