"""Fixtures of the CRM's tests: an open write transaction on a fresh database, on both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from models import Contact, Database, Journey, Run, Version

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def session(db: Database) -> Iterator[Session]:
    """One write transaction for the whole test."""
    with db.write() as session:
        yield session


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
