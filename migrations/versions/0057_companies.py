"""Companies

Revision 0057, after 0056.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
OF_COMPANIES = sa.text("topic >= 'field:company.' AND topic < 'field:company/'")


def _at(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of(table: str, other: str) -> tuple[sa.Column[str], sa.ForeignKeyConstraint]:
    column = f"{other}_id"
    return (
        sa.Column(column, sa.String(32), nullable=False),
        sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}")),
    )


def upgrade() -> None:
    op.create_table(
        "company",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sort_name", sa.String(200), nullable=False),
        sa.Column("domain", sa.String(253), nullable=True),
        sa.Column("owner", sa.String(32), nullable=True),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("told", Json, nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("revenues", Json, nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        _at("last_activity_at", nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("vouched", sa.Boolean(), nullable=False),
        _at("created_at"),
        sa.Column("created_by", sa.String(120), nullable=False),
        _at("updated_at"),
        sa.Column("gone", sa.String(8), nullable=False),
        sa.Column("merged_into", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
    )
    op.create_index("ix_company_name", "company", ["sort_name", "id"])
    op.create_index("ix_company_owner", "company", ["owner", "id"])
    op.create_index("ix_company_members", "company", ["members", "id"])
    op.create_index("ix_company_revenue", "company", ["revenue", "id"])
    op.create_index("ix_company_active", "company", ["last_activity_at", "id"])
    op.create_index("ix_company_currency", "company", ["currency", "id"])
    op.create_index(op.f("ix_company_merged_into"), "company", ["merged_into"])
    op.create_table(
        "company_name",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", sa.String(320), nullable=False),
        *_of("company_name", "company"),
        _at("created_at"),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_company_name")),
    )
    op.create_index(op.f("ix_company_name_company_id"), "company_name", ["company_id"])
    op.create_table(
        "company_member",
        *_of("company_member", "contact"),
        *_of("company_member", "company"),
        _at("since"),
        sa.Column("source", sa.String(8), nullable=False),
        _at("active_at", nullable=True),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("revenues", Json, nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_company_member")),
    )
    op.create_index("ix_company_member_company", "company_member", ["company_id", "contact_id"])
    op.create_index("ix_company_member_active", "company_member", ["company_id", "active_at"])
    op.create_table(
        "company_delta",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        *_of("company_delta", "company"),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("revenues", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_delta")),
    )
    op.create_table(
        "company_mark",
        *_of("company_mark", "contact"),
        _at("marked_at"),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_company_mark")),
    )
    op.create_index("ix_company_mark_marked", "company_mark", ["marked_at", "contact_id"])
    op.create_table(
        "company_spread",
        *_of("company_spread", "company"),
        sa.Column("field", sa.String(120), nullable=False),
        sa.Column("after_id", sa.String(32), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("company_id", "field", name=op.f("pk_company_spread")),
    )
    op.create_index(
        "ix_subscription_company", "subscription", ["topic", "contact_id"], sqlite_where=OF_COMPANIES, postgresql_where=OF_COMPANIES
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
