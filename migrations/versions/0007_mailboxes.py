"""A no follows the mailbox, people do not merge by a phone number, one message goes to a mailbox, merges can be undone

Revision 0007, after 0006. Every row stays. What was withdrawn stands for the contact's addresses from now on; addresses that contacts with
different ids have are marked as shared; who has the same number or address as another is suggested as a duplicate.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = UTCDateTime()


def upgrade() -> None:
    _tables()
    _columns()
    for statement in (*NOS, SHARED, *DUPLICATES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")


def _tables() -> None:
    op.create_table(
        "mailbox_consent",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("mailbox", sa.String(320), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("said_at", Instant, nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "mailbox", "purpose", "contact_id", name=op.f("pk_mailbox_consent")),
    )
    op.create_index("ix_mailbox_consent_contact_id", "mailbox_consent", ["contact_id"], unique=False)
    op.create_table(
        "merge_moved",
        sa.Column("merge_id", BigId, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("keys", Json, nullable=False),
        sa.ForeignKeyConstraint(["merge_id"], ["merge.id"], name=op.f("fk_merge_moved_merge_id")),
        sa.PrimaryKeyConstraint("merge_id", "kind", "part", name=op.f("pk_merge_moved")),
    )
    op.create_table(
        "duplicate",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("one_id", sa.String(32), nullable=False),
        sa.Column("other_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("found_at", Instant, nullable=False),
        sa.Column("decided_at", Instant, nullable=True),
        sa.Column("decided_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["one_id"], ["contact.id"], name=op.f("fk_duplicate_one_id")),
        sa.ForeignKeyConstraint(["other_id"], ["contact.id"], name=op.f("fk_duplicate_other_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate")),
        sa.UniqueConstraint("one_id", "other_id", name="uq_duplicate_pair"),
    )
    op.create_index("ix_duplicate_state", "duplicate", ["state", "id"], unique=False)
    op.create_index("ix_duplicate_other_id", "duplicate", ["other_id"], unique=False)


def _columns() -> None:
    op.add_column("identity", sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("merge", sa.Column("undone_at", Instant, nullable=True))
    op.add_column("merge", sa.Column("undone_by", sa.String(120), nullable=False, server_default=""))
    op.add_column("run", sa.Column("occasion", sa.String(80), nullable=False, server_default=""))
    op.add_column("message", sa.Column("mailbox_key", sa.String(64), nullable=True))
    known = sa.text("mailbox_key IS NOT NULL")
    op.create_index("ix_message_mailbox_key", "message", ["mailbox_key"], unique=True, sqlite_where=known, postgresql_where=known)
    for column in ("email", "phone"):
        op.drop_index(f"ix_contact_{column}", table_name="contact")
        op.create_index(f"ix_contact_{column}", "contact", [column, "id"], unique=False)


NOS = tuple(
    f"""INSERT INTO mailbox_consent (channel, mailbox, purpose, contact_id, state, said_at, proven)
        SELECT s.channel, c.{column}, s.purpose, c.id, 'withdrawn', s.said_at, {sa.false()}
        FROM consent_state s JOIN contact c ON c.id = s.contact_id
        WHERE s.state = 'withdrawn' AND s.channel IN ({channels}) AND c.{column} IS NOT NULL"""
    for column, channels in (("email", "'email'"), ("phone", "'sms', 'whatsapp'"))
)
_IDS = "(kind = 'user_id' OR kind LIKE 'external:%')"
SHARED = f"""UPDATE identity SET shared = {sa.true()} WHERE kind = 'email'
    AND contact_id IN (SELECT contact_id FROM identity WHERE {_IDS})
    AND EXISTS (SELECT 1 FROM contact c WHERE c.email = identity.value AND c.id <> identity.contact_id AND c.merged_into IS NULL
                AND c.id IN (SELECT contact_id FROM identity WHERE {_IDS}))"""
DUPLICATES = tuple(
    f"""INSERT INTO duplicate (one_id, other_id, reason, state, found_at, decided_by)
        SELECT m.first, c.id, '{column}', 'open', c.updated_at, '' FROM contact c
        JOIN (SELECT {column}, min(id) AS first FROM contact
              WHERE {column} IS NOT NULL AND merged_into IS NULL AND erased_at IS NULL GROUP BY {column}) m
          ON m.{column} = c.{column} AND c.id <> m.first
        WHERE c.merged_into IS NULL AND c.erased_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM duplicate d WHERE d.one_id = m.first AND d.other_id = c.id)"""
    for column in ("email", "phone")
)
"""Each with the eldest contact that has the same, as `crm.people.duplicates` goes on to do."""
