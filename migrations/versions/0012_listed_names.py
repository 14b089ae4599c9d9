"""Purposes and score groups that are in use stand in the workspace's lists

Revision 0012, after 0011. What consents, scores, journeys and their versions name beside what is built in is collected once; where there is
nothing more the built-in lists hold. Labels are the workspace's to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
PURPOSE = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
BUILT_IN = {"purposes": ("marketing", "newsletter", "service"), "score_groups": ("engagement", "fit")}
MOST = 200
"""Of one list; documents come first, since a journey that runs must stay one that can be published."""


def upgrade() -> None:
    connection = op.get_bind()
    documents = [*_column(connection, "journey", "draft", Json), *_column(connection, "version", "document", Json)]
    found = {name: dict.fromkeys(BUILT_IN[name]) for name in BUILT_IN}
    for name, key in sorted({(name, key) for document in documents for name, key in _named(document) if _is_name(name, key)}):
        found[name][key] = None
    found["purposes"] |= dict.fromkeys(sorted(_column(connection, "consent_state", "purpose", sa.String())))
    found["score_groups"] |= dict.fromkeys(sorted(_column(connection, "score", "score_group", sa.String())))
    for name, keys in found.items():
        _store(connection, name, [key for key in keys if _is_name(name, key)][:MOST])


def _column(connection: sa.Connection, table: str, column: str, kind: Any) -> list[Any]:
    known = sa.column(column, kind)
    rows = sa.select(known).select_from(sa.table(table))
    return list(connection.scalars(rows if kind is Json else rows.distinct()))


def _named(part: Any) -> Iterator[tuple[str, Any]]:
    """(setting, name) of every purpose and score group in a document, its rules included."""
    if isinstance(part, list):
        for one in part:
            yield from _named(one)
    if not isinstance(part, dict):
        return
    kind = str(part.get("kind", ""))
    if "purpose" in part and ("consent" in part or kind.startswith("send_")):
        yield "purposes", part["purpose"]
    if "group" in part and (kind == "change_score" or part.get("type") == "score"):
        yield "score_groups", part["group"]
    if "score" in part and "value" in part:
        yield "score_groups", part["score"]
    if isinstance(settings := part.get("settings"), dict) and "nodes" in part and "purpose" in settings:
        yield "purposes", settings["purpose"]
    for inner in part.values():
        yield from _named(inner)


def _is_name(name: str, key: Any) -> bool:
    """Whether the list can hold it; a purpose is one that a statement of consent can be about."""
    if not isinstance(key, str) or not key.isprintable() or key != key.strip():
        return False
    return bool(PURPOSE.fullmatch(key)) if name == "purposes" else 0 < len(key) <= 64


def _store(connection: sa.Connection, name: str, keys: list[str]) -> None:
    if keys == list(BUILT_IN[name]):
        return
    rows = sa.table(
        "workspace_setting", sa.column("name"), sa.column("value", Json), sa.column("updated_at", UTCDateTime()), sa.column("updated_by")
    )
    value = {"names": [{"key": key, "english": "", "german": ""} for key in keys]}
    connection.execute(sa.insert(rows).values(name=name, value=value, updated_at=datetime.now(UTC), updated_by="upgrade"))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
