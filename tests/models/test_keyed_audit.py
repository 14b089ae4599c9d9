"""A database with an audit trail from before it had a key: every line stays, holds, and is covered from the first start on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, text

from models import Database, migrate
from settings import Settings
from worker import build_engine
from workspace import audit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
INSERT = text(
    "INSERT INTO audit (at, actor, action, subject, detail, digest) VALUES (:at, :actor, 'member.add', 'member:m2', :detail, :digest)"
)


def old_lines() -> Iterator[dict[str, object]]:
    before = "0" * 64
    for actor in ("member:m1", "cli", "member:m1"):
        said = [before, NOW.isoformat(), actor, "member.add", "member:m2", {"role": "admin"}]
        before = sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
        yield {"at": NOW, "actor": actor, "detail": '{"role": "admin"}', "digest": before}


@pytest.fixture
def postgres_old(postgres_url: str) -> Iterator[str]:
    server = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE audit_old"))
        yield f"{postgres_url}/audit_old"
        connection.execute(text("DROP DATABASE audit_old WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_old"))


def test_old_lines_hold_and_the_first_start_seals_what_is_there(url: str, tmp_path: Path) -> None:
    migrate.upgrade(url, "0017")
    with closing(Database(url)) as database, database.write() as session:
        for row in old_lines():
            at = row["at"] if url.startswith("postgres") else NOW.strftime("%Y-%m-%d %H:%M:%S.%f")
            session.execute(INSERT, row | {"at": at})
    migrate.upgrade(url)
    settings = Settings(home=tmp_path / "home", database_url=url)
    with closing(Database(url)) as database:
        build_engine(settings, database, [])
        with database.read() as session:
            check = audit.check(session)
            assert (check.problem, check.keyed_from, check.head.number) == ("", 4, 4)
            assert audit.list_lines(session)[0].action == "audit.key"
        with database.write() as session:
            audit.record(session, "cli", "x.y", "s", {})
            assert audit.check(session).head.number == 5
        with database.write() as session:
            session.execute(text("UPDATE audit SET actor = 'nobody' WHERE id = 2"))
        with database.read() as session:
            assert audit.check(session).broken_at == 2
