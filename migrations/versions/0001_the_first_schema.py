"""The first schema

Revision 0001, after an empty database. The types below are frozen here on purpose: later models may differ.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = UTCDateTime()


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant, nullable=True),
        sa.Column("expires_at", Instant, nullable=True),
        sa.Column("revoked_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_subject", ["subject", "id"], unique=False)

    op.create_table(
        "catalogue_event",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("properties", Json, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("first_seen_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_event")),
    )
    op.create_table(
        "catalogue_field",
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.Column("first_seen_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_field")),
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("first_name", sa.String(200), nullable=True),
        sa.Column("last_name", sa.String(200), nullable=True),
        sa.Column("locale", sa.String(35), nullable=True),
        sa.Column("timezone", sa.String(64), nullable=True),
        sa.Column("lifecycle_stage", sa.String(64), nullable=True),
        sa.Column("owner", sa.String(32), nullable=True),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=True),
        sa.Column("merged_into", sa.String(32), nullable=True),
        sa.Column("erased_at", Instant, nullable=True),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_lifecycle_stage"), ["lifecycle_stage"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_merged_into"), ["merged_into"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_owner"), ["owner"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_phone"), ["phone"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_updated_at"), ["updated_at"], unique=False)

    op.create_table(
        "freshness",
        sa.Column("topic", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_freshness")),
    )
    op.create_table(
        "import_job",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("mapping", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("rows_ok", sa.Integer(), nullable=False),
        sa.Column("rows_failed", sa.Integer(), nullable=False),
        sa.Column("errors", Json, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("finished_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("input", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.String(64), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("counts", Json, nullable=False),
        sa.Column("error", sa.String(300), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("finished_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(
            "ix_job_running", ["id"], unique=False, sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'")
        )
        batch_op.create_index(batch_op.f("ix_job_subject"), ["subject"], unique=False)

    op.create_table(
        "journey",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("folder", sa.String(120), nullable=False),
        sa.Column("draft", Json, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("live_version", sa.Integer(), nullable=True),
        sa.Column("paused_at", Instant, nullable=True),
        sa.Column("archived_at", Instant, nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("updated_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journey")),
        sa.UniqueConstraint("key", name=op.f("uq_journey_key")),
    )
    with op.batch_alter_table("journey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journey_state"), ["state"], unique=False)

    op.create_table(
        "lease",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "link",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("digest", name=op.f("uq_link_digest")),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("locale", sa.String(8), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("absent_until", Instant, nullable=True),
        sa.Column("password_hash", sa.String(300), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("email", name=op.f("uq_member_email")),
    )
    op.create_table(
        "outbox_item",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("idempotency_key", sa.String(160), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=True),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("subject", sa.String(998), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("accepted_at", Instant, nullable=False),
        sa.Column("opened_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_item")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_outbox_item_idempotency_key")),
    )
    with op.batch_alter_table("outbox_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_item_accepted_at"), ["accepted_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_outbox_item_message_id"), ["message_id"], unique=False)

    op.create_table(
        "rotation",
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("members", Json, nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pool", name=op.f("pk_rotation")),
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sealed", sa.String(8000), nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("updated_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )
    op.create_table(
        "stamp",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(16), nullable=False),
        sa.Column("namespace", sa.String(64), nullable=False),
        sa.Column("clock", Json, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stamp")),
    )
    op.create_table(
        "suppression",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("address_hash", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("channel", "address_hash", name=op.f("pk_suppression")),
    )
    op.create_table(
        "template",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("message_class", sa.String(16), nullable=False),
        sa.Column("variants", Json, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("archived_at", Instant, nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_template")),
    )
    op.create_table(
        "workspace_setting",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("updated_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workspace_setting")),
    )
    op.create_table(
        "body",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("sender", sa.String(320), nullable=False),
        sa.Column("subject", sa.String(998), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_body_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_body")),
    )
    with op.batch_alter_table("body", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_body_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "consent",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("wording", sa.String(4000), nullable=False),
        sa.Column("proof", Json, nullable=False),
        sa.Column("said_at", Instant, nullable=False),
        sa.Column("recorded_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_consent_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index("ix_consent_contact", ["contact_id", "channel", "purpose", "id"], unique=False)

    op.create_table(
        "consent_state",
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("said_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_consent_state_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", "channel", "purpose", name=op.f("pk_consent_state")),
    )
    with op.batch_alter_table("consent_state", schema=None) as batch_op:
        batch_op.create_index("ix_consent_state_lookup", ["channel", "purpose", "state", "contact_id"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("properties", Json, nullable=False),
        sa.Column("context", Json, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("occurred_at", Instant, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("routed", sa.Boolean(), nullable=False),
        sa.Column("backfill", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_event_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("source", "message_id", name="uq_event_message"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_contact", ["contact_id", "id"], unique=False)
        batch_op.create_index("ix_event_contact_name", ["contact_id", "name", "occurred_at"], unique=False)
        batch_op.create_index(
            "ix_event_unrouted", ["id"], unique=False, sqlite_where=sa.text("routed = 0"), postgresql_where=sa.text("NOT routed")
        )

    op.create_table(
        "identity",
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("value", sa.String(320), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_identity_contact_id")),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_identity")),
    )
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_login_session_member_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_session")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_session_member_id"), ["member_id"], unique=False)

    op.create_table(
        "login_token",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_login_token_member_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_token")),
    )
    op.create_table(
        "merge",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("winner_id", sa.String(32), nullable=False),
        sa.Column("loser_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("kept", Json, nullable=False),
        sa.Column("merged_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["loser_id"], ["contact.id"], name=op.f("fk_merge_loser_id")),
        sa.ForeignKeyConstraint(["winner_id"], ["contact.id"], name=op.f("fk_merge_winner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merge")),
    )
    with op.batch_alter_table("merge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merge_loser_id"), ["loser_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_merge_winner_id"), ["winner_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("once_key", sa.String(160), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=True),
        sa.Column("journey_id", sa.String(32), nullable=True),
        sa.Column("version_number", sa.Integer(), nullable=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("message_class", sa.String(16), nullable=False),
        sa.Column("cap_class", sa.String(64), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=True),
        sa.Column("locale", sa.String(35), nullable=False),
        sa.Column("subject", sa.String(998), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("provider_id", sa.String(200), nullable=False),
        sa.Column("claimed_at", Instant, nullable=True),
        sa.Column("lease_until", Instant, nullable=True),
        sa.Column("held_until", Instant, nullable=True),
        sa.Column("planned_at", Instant, nullable=False),
        sa.Column("sent_at", Instant, nullable=True),
        sa.Column("delivered_at", Instant, nullable=True),
        sa.Column("opened_at", Instant, nullable=True),
        sa.Column("clicked_at", Instant, nullable=True),
        sa.Column("bounced_at", Instant, nullable=True),
        sa.Column("answer", Json, nullable=False),
        sa.Column("body_id", sa.String(32), nullable=True),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_message_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("once_key", name=op.f("uq_message_once_key")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index("ix_message_cap", ["contact_id", "cap_class", "sent_at"], unique=False)
        batch_op.create_index("ix_message_contact", ["contact_id", "id"], unique=False)
        batch_op.create_index("ix_message_journey", ["journey_id", "node", "status"], unique=False)
        batch_op.create_index(
            "ix_message_open",
            ["status", "lease_until"],
            unique=False,
            sqlite_where=sa.text("status IN ('claimed','held','uncertain')"),
            postgresql_where=sa.text("status IN ('claimed','held','uncertain')"),
        )
        batch_op.create_index("ix_message_provider", ["provider", "provider_id"], unique=False)
        batch_op.create_index("ix_message_run", ["run_id"], unique=False)

    op.create_table(
        "migration",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("node_map", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("after_run", sa.String(32), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_migration_journey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration")),
    )
    with op.batch_alter_table("migration", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_migration_journey_id"), ["journey_id"], unique=False)

    op.create_table(
        "refusal",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("event_id", BigId, autoincrement=False, nullable=True),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("refused_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_refusal_contact_id")),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_refusal_journey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal")),
    )
    with op.batch_alter_table("refusal", schema=None) as batch_op:
        batch_op.create_index("ix_refusal_contact", ["contact_id", "id"], unique=False)
        batch_op.create_index("ix_refusal_journey", ["journey_id", "id"], unique=False)

    op.create_table(
        "score",
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("score_group", sa.String(64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_score_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", "score_group", name=op.f("pk_score")),
    )
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.create_index("ix_score_group", ["score_group", "value"], unique=False)

    op.create_table(
        "score_change",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("score_group", sa.String(64), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_score_change_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_change")),
    )
    with op.batch_alter_table("score_change", schema=None) as batch_op:
        batch_op.create_index("ix_score_change_contact", ["contact_id", "id"], unique=False)

    op.create_table(
        "tag",
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("tag", sa.String(120), nullable=False),
        sa.Column("added_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_tag_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", "tag", name=op.f("pk_tag")),
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index("ix_tag_tag", ["tag", "contact_id"], unique=False)

    op.create_table(
        "task",
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.String(4000), nullable=False),
        sa.Column("owner", sa.String(32), nullable=True),
        sa.Column("priority", sa.String(8), nullable=False),
        sa.Column("outcomes", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=True),
        sa.Column("note", sa.String(4000), nullable=False),
        sa.Column("due_at", Instant, nullable=True),
        sa.Column("escalate_to", sa.String(32), nullable=True),
        sa.Column("escalated_at", Instant, nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("taken_at", Instant, nullable=True),
        sa.Column("finished_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_task_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_task_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(
            "ix_task_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("escalated_at IS NULL"),
            postgresql_where=sa.text("escalated_at IS NULL"),
        )
        batch_op.create_index("ix_task_owner", ["owner", "state", "due_at"], unique=False)

    op.create_table(
        "template_version",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", Json, nullable=False),
        sa.Column("compiled", Json, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["template.key"], name=op.f("fk_template_version_key")),
        sa.PrimaryKeyConstraint("key", "number", name=op.f("pk_template_version")),
    )
    op.create_table(
        "trigger_cursor",
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("trigger", sa.String(64), nullable=False),
        sa.Column("done_until", Instant, nullable=False),
        sa.Column("occurrence_at", Instant, nullable=True),
        sa.Column("after_contact", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_trigger_cursor_journey_id")),
        sa.PrimaryKeyConstraint("journey_id", "trigger", name=op.f("pk_trigger_cursor")),
    )
    op.create_table(
        "version",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("pins", Json, nullable=False),
        sa.Column("note", sa.String(2000), nullable=False),
        sa.Column("published_at", Instant, nullable=False),
        sa.Column("published_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_version_journey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        sa.UniqueConstraint("journey_id", "number", name="uq_version_number"),
    )
    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_version_journey_id"), ["journey_id"], unique=False)

    op.create_table(
        "hit",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=True),
        sa.Column("agent_class", sa.String(16), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sa.Column("hit_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_hit_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hit")),
    )
    with op.batch_alter_table("hit", schema=None) as batch_op:
        batch_op.create_index("ix_hit_message", ["message_id", "id"], unique=False)

    op.create_table(
        "run",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("journey_id", sa.String(32), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("run_key", sa.String(200), nullable=False),
        sa.Column("trigger_event_id", BigId, autoincrement=False, nullable=True),
        sa.Column("trigger", Json, nullable=False),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("node_entered_at", Instant, nullable=True),
        sa.Column("state", Json, nullable=False),
        sa.Column("instruction", Json, nullable=False),
        sa.Column("due_at", Instant, nullable=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("error", sa.String(2000), nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("since", Instant, nullable=True),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("goal_at", Instant, nullable=True),
        sa.Column("goal_value", sa.Float(), nullable=True),
        sa.Column("goal_event_id", BigId, autoincrement=False, nullable=True),
        sa.Column("updated_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_run_contact_id")),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_run_journey_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_run_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("journey_id", "trigger_event_id", "contact_id", name="uq_run_trigger"),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_contact", ["contact_id", "journey_id"], unique=False)
        batch_op.create_index(
            "ix_run_due", ["due_at"], unique=False, sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'")
        )
        batch_op.create_index("ix_run_journey_status", ["journey_id", "status", "version_number"], unique=False)
        batch_op.create_index("ix_run_key", ["journey_id", "contact_id", "run_key"], unique=False)
        batch_op.create_index(
            "ix_run_open",
            ["status", "id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index("ix_run_started", ["journey_id", "started_at"], unique=False)
        batch_op.create_index("ix_run_version_node", ["version_id", "node", "status"], unique=False)

    op.create_table(
        "task_change",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(160), nullable=False),
        sa.Column("what", sa.String(24), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_change_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_change")),
    )
    with op.batch_alter_table("task_change", schema=None) as batch_op:
        batch_op.create_index("ix_task_change_task", ["task_id", "id"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("event_id", BigId, autoincrement=False, nullable=False),
        sa.Column("arrived_at", Instant, nullable=False),
        sa.Column("consumed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_inbox_event_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_inbox_run_id")),
        sa.PrimaryKeyConstraint("run_id", "event_id", name=op.f("pk_inbox")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_old", ["arrived_at"], unique=False, sqlite_where=sa.text("consumed = 0"), postgresql_where=sa.text("NOT consumed")
        )
        batch_op.create_index(
            "ix_inbox_waiting",
            ["run_id", "event_id"],
            unique=False,
            sqlite_where=sa.text("consumed = 0"),
            postgresql_where=sa.text("NOT consumed"),
        )

    op.create_table(
        "migrated_run",
        sa.Column("migration_id", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("before", Json, nullable=False),
        sa.Column("step_after", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["migration_id"], ["migration.id"], name=op.f("fk_migrated_run_migration_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_migrated_run_run_id")),
        sa.PrimaryKeyConstraint("migration_id", "run_id", name=op.f("pk_migrated_run")),
    )
    op.create_table(
        "subscription",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("topic", sa.String(210), nullable=False),
        sa.Column("why", sa.String(8), nullable=False),
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("until", Instant, nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_subscription_contact_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_subscription_run_id")),
        sa.PrimaryKeyConstraint("run_id", "topic", "why", name=op.f("pk_subscription")),
    )
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.create_index("ix_subscription_contact", ["contact_id", "topic"], unique=False)

    op.create_table(
        "trail",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("what", sa.String(24), nullable=False),
        sa.Column("outlet", sa.String(64), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_trail_run_id")),
        sa.PrimaryKeyConstraint("run_id", "step", "seq", name=op.f("pk_trail")),
    )
    with op.batch_alter_table("trail", schema=None) as batch_op:
        batch_op.create_index("ix_trail_node", ["version_id", "node", "what"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("trail", schema=None) as batch_op:
        batch_op.drop_index("ix_trail_node")

    op.drop_table("trail")
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.drop_index("ix_subscription_contact")

    op.drop_table("subscription")
    op.drop_table("migrated_run")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index("ix_inbox_waiting", sqlite_where=sa.text("consumed = 0"), postgresql_where=sa.text("NOT consumed"))
        batch_op.drop_index("ix_inbox_old", sqlite_where=sa.text("consumed = 0"), postgresql_where=sa.text("NOT consumed"))

    op.drop_table("inbox")
    with op.batch_alter_table("task_change", schema=None) as batch_op:
        batch_op.drop_index("ix_task_change_task")

    op.drop_table("task_change")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index("ix_run_version_node")
        batch_op.drop_index("ix_run_started")
        batch_op.drop_index("ix_run_open", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL"))
        batch_op.drop_index("ix_run_key")
        batch_op.drop_index("ix_run_journey_status")
        batch_op.drop_index("ix_run_due", sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))
        batch_op.drop_index("ix_run_contact")

    op.drop_table("run")
    with op.batch_alter_table("hit", schema=None) as batch_op:
        batch_op.drop_index("ix_hit_message")

    op.drop_table("hit")
    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_version_journey_id"))

    op.drop_table("version")
    op.drop_table("trigger_cursor")
    op.drop_table("template_version")
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index("ix_task_owner")
        batch_op.drop_index("ix_task_due", sqlite_where=sa.text("escalated_at IS NULL"), postgresql_where=sa.text("escalated_at IS NULL"))
        batch_op.drop_index(batch_op.f("ix_task_contact_id"))

    op.drop_table("task")
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.drop_index("ix_tag_tag")

    op.drop_table("tag")
    with op.batch_alter_table("score_change", schema=None) as batch_op:
        batch_op.drop_index("ix_score_change_contact")

    op.drop_table("score_change")
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.drop_index("ix_score_group")

    op.drop_table("score")
    with op.batch_alter_table("refusal", schema=None) as batch_op:
        batch_op.drop_index("ix_refusal_journey")
        batch_op.drop_index("ix_refusal_contact")

    op.drop_table("refusal")
    with op.batch_alter_table("migration", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_migration_journey_id"))

    op.drop_table("migration")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index("ix_message_run")
        batch_op.drop_index("ix_message_provider")
        batch_op.drop_index(
            "ix_message_open",
            sqlite_where=sa.text("status IN ('claimed','held','uncertain')"),
            postgresql_where=sa.text("status IN ('claimed','held','uncertain')"),
        )
        batch_op.drop_index("ix_message_journey")
        batch_op.drop_index("ix_message_contact")
        batch_op.drop_index("ix_message_cap")

    op.drop_table("message")
    with op.batch_alter_table("merge", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_merge_winner_id"))
        batch_op.drop_index(batch_op.f("ix_merge_loser_id"))

    op.drop_table("merge")
    op.drop_table("login_token")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_member_id"))

    op.drop_table("login_session")
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_contact_id"))

    op.drop_table("identity")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_unrouted", sqlite_where=sa.text("routed = 0"), postgresql_where=sa.text("NOT routed"))
        batch_op.drop_index("ix_event_contact_name")
        batch_op.drop_index("ix_event_contact")

    op.drop_table("event")
    with op.batch_alter_table("consent_state", schema=None) as batch_op:
        batch_op.drop_index("ix_consent_state_lookup")

    op.drop_table("consent_state")
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.drop_index("ix_consent_contact")

    op.drop_table("consent")
    with op.batch_alter_table("body", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_body_contact_id"))

    op.drop_table("body")
    op.drop_table("workspace_setting")
    op.drop_table("template")
    op.drop_table("suppression")
    op.drop_table("stamp")
    op.drop_table("secret")
    op.drop_table("rotation")
    with op.batch_alter_table("outbox_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_item_message_id"))
        batch_op.drop_index(batch_op.f("ix_outbox_item_accepted_at"))

    op.drop_table("outbox_item")
    op.drop_table("member")
    op.drop_table("link")
    op.drop_table("lease")
    with op.batch_alter_table("journey", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_journey_state"))

    op.drop_table("journey")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_subject"))
        batch_op.drop_index("ix_job_running", sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"))

    op.drop_table("job")
    op.drop_table("import_job")
    op.drop_table("freshness")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_updated_at"))
        batch_op.drop_index(batch_op.f("ix_contact_phone"))
        batch_op.drop_index(batch_op.f("ix_contact_owner"))
        batch_op.drop_index(batch_op.f("ix_contact_merged_into"))
        batch_op.drop_index(batch_op.f("ix_contact_lifecycle_stage"))
        batch_op.drop_index(batch_op.f("ix_contact_email"))

    op.drop_table("contact")
    op.drop_table("catalogue_field")
    op.drop_table("catalogue_event")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_subject")

    op.drop_table("audit")
    op.drop_table("api_key")
