"""Fixtures of the CRM's tests: an open write transaction on a fresh database, on both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from models import Contact, Database, Journey, Run, Version
from workspace import audit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def shared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path_factory.mktemp('crm') / 'shared.db'}")) as database:
        SQLModel.metadata.create_all(database.engine)
        audit.bind(database, [b"k" * 32])
        yield database


@pytest.fixture(scope="session")
def shared_postgres(postgres_url: str) -> Iterator[Database]:
    server = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE crm_shared"))
    server.dispose()
    with closing(Database(f"{postgres_url}/crm_shared")) as database:
        SQLModel.metadata.create_all(database.engine)
        audit.bind(database, [b"k" * 32])
        yield database


@pytest.fixture(params=["sqlite", "postgres"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """One write transaction for the whole test, on both kinds; nothing of it stays (a fresh database per test would cost more than the test)."""
    database: Database = request.getfixturevalue(f"shared_{request.param}")
    connection = database.engine.connect().execution_options(pfadwerk_write=True)
    with connection, Session(connection, expire_on_commit=False, info=database.info) as session, connection.begin() as transaction:
        yield session
        transaction.rollback()


@pytest.fixture
def contact(session: Session) -> str:
    """The id of a contact without names."""
    return add_contact(session, "c1")


@pytest.fixture
def make_contact(session: Session) -> Callable[..., str]:
    """`make_contact(id, **fields)` -> id."""
    return lambda id, **fields: add_contact(session, id, **fields)


@pytest.fixture
def make_run(session: Session) -> Callable[..., Run]:
    """`make_run(id, contact_id, document={…}, **fields)` -> a run that waits at `wait`."""

    def make(id: str, contact_id: str, document: dict[str, Any] | None = None, **fields: Any) -> Run:
        version_id = f"v-{id}"
        if session.get(Journey, "j1") is None:
            session.add(Journey(id="j1", key="welcome", name="Welcome", state="live", created_at=NOW, updated_at=NOW))
            session.flush()
        number = session.query(Version).count() + 1
        session.add(Version(id=version_id, journey_id="j1", number=number, digest=version_id, document=document or {}, published_at=NOW))
        session.flush()
        values = {"node": "wait", "step": 3, "started_at": NOW, "updated_at": NOW} | fields
        run = Run(id=id, journey_id="j1", version_id=version_id, version_number=number, contact_id=contact_id, **values)
        session.add(run)
        session.flush()
        return run

    return make


def add_contact(session: Session, id: str, **fields: Any) -> str:
    session.add(Contact(**({"id": id, "created_at": NOW, "updated_at": NOW} | fields)))
    session.flush()
    return id
