"""Forms that people make on a page; sign-up forms become forms and keep their addresses

Revision 0056, after 0055.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
WAITING = sa.text("state = 'waiting'")


def _of_form(table: str, *, primary: bool = True) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    column = sa.Column("form_id", BigId, autoincrement=False, nullable=False) if primary else sa.Column("form_id", BigId, nullable=False)
    return column, sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f(f"fk_{table}_form_id_form"))


def upgrade() -> None:
    form = op.create_table(
        "form",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("before", sa.String(8), nullable=False),
        sa.Column("definition", Json, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form")),
        sa.UniqueConstraint("key", name=op.f("uq_form_key")),
    )
    column, constraint = _of_form("form_version")
    version = op.create_table(
        "form_version",
        column,
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", Json, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
        constraint,
        sa.PrimaryKeyConstraint("form_id", "number", name=op.f("pk_form_version")),
    )
    _submissions()
    column, constraint = _of_form("form_day")
    op.create_table(
        "form_day",
        column,
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("submitted", sa.Integer(), nullable=False),
        sa.Column("spam", sa.Integer(), nullable=False),
        constraint,
        sa.PrimaryKeyConstraint("form_id", "day", name=op.f("pk_form_day")),
    )
    with op.batch_alter_table("opt_in") as table:
        table.add_column(sa.Column("further", Json, nullable=False, server_default="[]"))
        table.add_column(sa.Column("proof", Json, nullable=False, server_default="{}"))
    with op.batch_alter_table("opt_in") as table:
        table.alter_column("further", server_default=None)
        table.alter_column("proof", server_default=None)
    _move(form, version)


def _submissions() -> None:
    column, constraint = _of_form("form_submission", primary=False)
    op.create_table(
        "form_submission",
        sa.Column("id", sa.String(32), nullable=False),
        column,
        sa.Column("contact_id", sa.String(32), nullable=False),
        sa.Column("opt_in_id", sa.String(32), nullable=True),
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.Column("boxes", Json, nullable=False),
        sa.Column("page", sa.String(2_000), nullable=False),
        sa.Column("source", Json, nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("submitted_at", INSTANT, nullable=False),
        constraint,
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_form_submission_contact_id_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form_submission")),
    )
    op.create_index("ix_form_submission_form", "form_submission", ["form_id", "id"])
    op.create_index("ix_form_submission_address", "form_submission", ["form_id", "address", "id"])
    op.create_index("ix_form_submission_waiting", "form_submission", ["submitted_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index("ix_form_submission_submitted", "form_submission", ["submitted_at", "id"])
    op.create_index("ix_form_submission_opt_in", "form_submission", ["opt_in_id"])
    op.create_index("uq_form_submission_nonce", "form_submission", ["form_id", "nonce"], unique=True)
    op.create_index(op.f("ix_form_submission_contact_id"), "form_submission", ["contact_id"])


SETTINGS = sa.table("workspace_setting", sa.column("name", sa.String), sa.column("value", Json), sa.column("updated_by", sa.String))


def _move(form: sa.Table, version: sa.Table) -> None:
    """The setting of the sign-up forms goes; each of its forms is a live form of the same key."""
    bind, now = op.get_bind(), datetime.now(UTC)
    row = bind.execute(sa.select(SETTINGS.c.value, SETTINGS.c.updated_by).where(SETTINGS.c.name == "signup_forms")).first()
    for old in (row.value or {}).get("forms", ()) if row is not None else ():
        definition = _definition(old)
        by = row.updated_by if row is not None else ""
        made = {"key": old["key"], "name": old.get("english_title") or old.get("german_title") or old["key"]}
        states = {"state": "live", "before": "", "version": 1, "created_at": now, "updated_at": now, "created_by": by}
        bind.execute(form.insert().values(**made, **states, definition=definition))
        id = bind.execute(sa.select(form.c.id).where(form.c.key == old["key"])).scalar_one()
        bind.execute(version.insert().values(form_id=id, number=1, definition=definition, made_at=now, made_by=by))
    bind.execute(sa.delete(SETTINGS).where(SETTINGS.c.name == "signup_forms"))


def _text(english: str = "", german: str = "") -> dict[str, str]:
    return {"en": english, "de": german}


def _field(name: str, input: str, *, required: bool = False) -> dict[str, Any]:
    texts = {"label": _text(), "help": _text()}
    return {"kind": "contact", "name": name, "input": input, "required": required, "choices": [], **texts}


def _definition(old: dict[str, Any]) -> dict[str, Any]:
    names = [_field("first_name", "text"), _field("last_name", "text")] if old.get("names") else []
    box = {
        "key": "agree",
        "channel": "email",
        "purpose": old.get("purpose") or "marketing",
        "wording": _text(old.get("english_wording", ""), old.get("german_wording", "")),
        "required": True,
        "topics": bool(old.get("topics")),
    }
    return {
        "title": _text(old.get("english_title", ""), old.get("german_title", "")),
        **dict.fromkeys(("intro", "button", "success"), _text()),
        "language": "",
        "fields": [_field("email", "email", required=True), *names],
        "boxes": [box],
        "redirect": "",
        "hosts": [],
        "framed": False,
        "plain": True,
        "hidden": [],
        "min_seconds": 0,
        "popup": None,
    }


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
