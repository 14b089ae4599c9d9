"""A database from before the lists: what it names goes on being known, and one that names nothing of its own has the built-in lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from models import Database, WorkspaceSetting, migrate
from workspace import settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).isoformat(sep=" ")[:26]
DRAFT: dict[str, Any] = {
    "spec": 1, "key": "j", "name": "J", "settings": {"purpose": "fair"}, "start": "mail",
    "entry": {"triggers": [{"type": "score", "group": "loyalty", "at_least": 5}], "filter": {"rules": [{"score": "heat", "value": 5}]}},
    "nodes": {
        "mail": {"kind": "send_sms", "text": "x", "purpose": "autumn"},
        "points": {"kind": "change_score", "group": "visits", "points": 1},
        "ask": {"kind": "if_else", "rule": {"rules": [{"combinator": "or", "rules": [{"consent": "sms", "purpose": "winter"}, {"consent": "sms", "purpose": "2 for 1"}]}]}},
        "call": {"kind": "call_webhook", "url": "https://example.org", "body": {"purpose": "theirs", "group": "theirs"}},
    },
}  # fmt: skip


@pytest.fixture
def postgres_old(postgres_url: str) -> Iterator[str]:
    server = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE lists_old"))
        yield f"{postgres_url}/lists_old"
        connection.execute(text("DROP DATABASE lists_old WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_old"))


def test_what_is_in_use_is_listed_once(url: str) -> None:
    migrate.upgrade(url, "0011")
    with closing(Database(url)) as database, database.write() as session:
        session.execute(
            text(
                "INSERT INTO journey (id, key, name, state, draft, revision, folder, tags, created_at, updated_at, updated_by)"
                " VALUES ('j1', 'j', 'J', 'draft', :draft, 1, '', '[]', :now, :now, '')"
            ),
            {"draft": json.dumps(DRAFT), "now": NOW},
        )
        session.execute(
            text("INSERT INTO contact (id, attributes, created_at, updated_at, demo) VALUES ('c1', '{}', :now, :now, false)"), {"now": NOW}
        )
        for purpose in ("marketing", "spring", " odd"):
            session.execute(
                text(
                    "INSERT INTO consent_state (contact_id, channel, purpose, state, said_at) VALUES ('c1', 'email', :purpose, 'granted', :now)"
                ),
                {"purpose": purpose, "now": NOW},
            )
        for group in ("fit", "miles"):
            session.execute(
                text("INSERT INTO score (contact_id, score_group, value, changed_at) VALUES ('c1', :group, 5, :now)"),
                {"group": group, "now": NOW},
            )
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        purposes, scores = settings.load(session, settings.Purposes), settings.load(session, settings.ScoreGroups)
    assert [one.key for one in purposes.names] == ["marketing", "newsletter", "service", "autumn", "fair", "winter", "spring"]
    assert [one.key for one in scores.names] == ["engagement", "fit", "heat", "loyalty", "visits", "miles"]


def test_where_nothing_more_is_in_use_the_built_in_lists_hold(url: str) -> None:
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        assert session.get(WorkspaceSetting, "purposes") is None
        assert session.get(WorkspaceSetting, "score_groups") is None
