"""Fixtures for what runs do to the world: a contact and a sent message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models import Contact, Database, Journey, Message, Run, Version, new_id

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def contact(db: Database) -> Contact:
    row = Contact(email="anna@example.org", first_name="Anna", locale="de-CH", timezone="Europe/Zurich", created_at=NOW, updated_at=NOW)
    with db.write() as session:
        session.add(row)
    return row


@pytest.fixture
def message(db: Database, contact: Contact) -> Message:
    """A mail of a run's node `welcome`, sent at NOW."""
    journey = Journey(key="welcome", name="Welcome", draft={}, created_at=NOW, updated_at=NOW)
    return _sent(db, contact, journey)


def _sent(db: Database, contact: Contact, journey: Journey) -> Message:
    with db.write() as session:
        session.add(journey)
        session.flush()
        version = Version(journey_id=journey.id, number=1, digest="d", document={}, published_at=NOW)
        session.add(version)
        session.flush()
        run = Run(
            journey_id=journey.id, version_id=version.id, version_number=1, contact_id=contact.id, hops=2, started_at=NOW, updated_at=NOW
        )
        session.add(run)
        row = Message(
            id=new_id(), once_key=f"{run.id}:first:1", run_id=run.id, journey_id=journey.id, node="first", contact_id=contact.id, channel="email",
            template="welcome_1", status="sent", planned_at=NOW, sent_at=NOW,
        )  # fmt: skip
        session.add(row)
    return row
