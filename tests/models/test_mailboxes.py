"""A database from before mailboxes: every row stays, what was withdrawn stands for addresses, and who shares one is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import select

from models import Database, Duplicate, Identity, MailboxConsent, migrate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).isoformat(sep=" ")[:26]
CONTACT = "INSERT INTO contact (id, email, phone, attributes, created_at, updated_at, demo) VALUES"
OLD = (
    *(
        f"{CONTACT} ('{id}', {email}, '+41446681800', '{{}}', '{NOW}', '{NOW}', false)"
        for id, email in (("c1", "'family@example.org'"), ("c2", "'family@example.org'"), ("c3", "NULL"))
    ),
    *(
        f"INSERT INTO identity (kind, value, contact_id, created_at) VALUES ('{kind}', '{value}', '{id}', '{NOW}')"
        for kind, value, id in (
            ("user_id", "u1", "c1"), ("user_id", "u2", "c2"), ("email", "family@example.org", "c1"), ("phone", "+41446681800", "c3"),
        )
    ),
    *(
        f"INSERT INTO consent_state (contact_id, channel, purpose, state, said_at) VALUES ('{id}', '{channel}', 'news', '{state}', '{NOW}')"
        for id, channel, state in (("c1", "email", "withdrawn"), ("c2", "email", "granted"), ("c3", "sms", "withdrawn"), ("c3", "push", "withdrawn"))
    ),
)  # fmt: skip


@pytest.fixture
def postgres_old(postgres_url: str) -> Iterator[str]:
    server = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE mailboxes_old"))
        yield f"{postgres_url}/mailboxes_old"
        connection.execute(text("DROP DATABASE mailboxes_old WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_old"))


def test_what_was_there_keeps_its_rows_and_gets_its_meaning(url: str) -> None:
    migrate.upgrade(url, "0006")
    with closing(Database(url)) as database, database.write() as session:
        for statement in OLD:
            session.execute(text(statement.replace(":", r"\:")))
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        words = {(row.channel, row.mailbox, row.purpose, row.contact_id, row.state) for row in session.scalars(select(MailboxConsent))}
        names = {(row.kind, row.value): row.shared for row in session.scalars(select(Identity))}
        pairs = {(row.one_id, row.other_id, row.reason, row.state) for row in session.scalars(select(Duplicate))}
    assert words == {
        ("email", "family@example.org", "news", "c1", "withdrawn"),
        ("sms", "+41446681800", "news", "c3", "withdrawn"),
    }
    assert names == {
        ("user_id", "u1"): False,
        ("user_id", "u2"): False,
        ("email", "family@example.org"): True,
        ("phone", "+41446681800"): False,
    }
    assert pairs == {("c1", "c2", "email", "open"), ("c1", "c3", "phone", "open")}
