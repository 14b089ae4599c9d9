"""The outbox provider at its wire, the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from activities.providers import ProviderFailure
from activities.providers.outbox import Outbox
from models import Database, OutboxItem
from tests.activities.providers.conformance import Arrived, Conformance, outgoing

if TYPE_CHECKING:
    from activities.providers import Provider

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class OutboxWire:
    failures: tuple[type[ProviderFailure], ...] = ()

    def __init__(self, db: Database) -> None:
        self.db = db
        self.provider: Provider = Outbox(db, lambda: NOW)

    def fail(self, with_: type[ProviderFailure]) -> None:
        raise AssertionError(with_)

    def arrived(self, once_key: str) -> list[Arrived]:
        with self.db.read() as session:
            rows = session.scalars(select(OutboxItem).where(OutboxItem.idempotency_key == once_key)).all()
        return [Arrived(row.recipient, row.subject, row.text) for row in rows]

    def go_away(self) -> None:
        with self.db.write() as session:
            SQLModel.metadata.drop_all(session.connection())


@pytest.fixture
def wire(db: Database) -> OutboxWire:
    return OutboxWire(db)


class TestConformance(Conformance):
    pass


def test_what_a_mail_server_would_have_got_is_kept(db: Database) -> None:
    Outbox(db, lambda: NOW).send(outgoing(reply_to="sales@example.com"))
    with db.read() as session:
        item = session.scalars(select(OutboxItem)).one()
    assert item.message_id == outgoing().message_id
    assert item.html.startswith("<p>Hallo")
    assert item.accepted_at == NOW
    assert item.headers["From"] == "Käfer & Söhne <shop@example.com>"
    assert item.headers["Reply-To"] == "sales@example.com"
    assert item.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_repeat_keeps_the_first_text(db: Database) -> None:
    outbox = Outbox(db, lambda: NOW)
    first = outbox.send(outgoing())
    assert outbox.send(outgoing(subject="changed")) == first
    with db.read() as session:
        assert session.scalars(select(OutboxItem.subject)).all() == [outgoing().subject]
