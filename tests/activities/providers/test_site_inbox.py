"""The provider of the inbox on the customer's site, at its wire, the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from activities import account_setup
from activities.providers import MessageDead, Provider, ProviderFailure
from activities.providers.site_inbox import LIFETIME, SiteInbox
from crm.people import in_app
from models import Contact, Database, InAppMessage
from tests.activities.providers.conformance import RECIPIENTS, Arrived, Conformance, outgoing

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANNA = "anna@example.org"
"""Contacts may have any id; the suite writes to this one."""


class InboxWire:
    failures: tuple[type[ProviderFailure], ...] = (MessageDead,)

    def __init__(self, db: Database) -> None:
        self.db = db
        self.provider: Provider = SiteInbox(db, lambda: NOW)
        with db.write() as session:
            session.add_all(Contact(id=id, created_at=NOW, updated_at=NOW) for id in (ANNA, RECIPIENTS["in_app"]))

    def fail(self, with_: type[ProviderFailure]) -> None:
        """The contact is erased for one message."""
        self.provider = _Erased(self)

    def erase(self, at: datetime | None) -> None:
        with self.db.write() as session:
            session.get_one(Contact, ANNA).erased_at = at

    def arrived(self, once_key: str) -> list[Arrived]:
        with self.db.read() as session:
            rows = session.scalars(select(InAppMessage).where(InAppMessage.idempotency_key == once_key)).all()
        return [Arrived(row.contact_id, row.parts["title"], row.parts["text"]) for row in rows]

    def go_away(self) -> None:
        with self.db.write() as session:
            SQLModel.metadata.drop_all(session.connection())


class _Erased(SiteInbox):
    def __init__(self, wire: InboxWire) -> None:
        super().__init__(wire.db, lambda: NOW)
        self.wire = wire

    def send(self, message):  # type: ignore[no-untyped-def]
        self.wire.erase(NOW)
        self.wire.provider = SiteInbox(self.wire.db, lambda: NOW)
        try:
            return super().send(message)
        finally:
            self.wire.erase(None)


@pytest.fixture
def wire(db: Database) -> InboxWire:
    return InboxWire(db)


class TestConformance(Conformance):
    pass


def rows(db: Database) -> list[InAppMessage]:
    with db.read() as session:
        return list(session.scalars(select(InAppMessage).order_by(InAppMessage.id)))  # type: ignore[arg-type]


def test_a_message_has_its_parts_and_its_end(db: Database, wire: InboxWire) -> None:
    wire.provider.send(outgoing("a", recipient=ANNA, subject="Hi", text="There", parts={"title": "Hi", "url": "https://a.example/"}))
    wire.provider.send(outgoing("b", recipient=ANNA, lifetime=timedelta(hours=1)))
    first, second = rows(db)
    assert first.parts == {"title": "Hi", "text": "There", "url": "https://a.example/"}
    assert (first.expires_at, second.expires_at) == (NOW + LIFETIME, NOW + timedelta(hours=1))


def test_the_same_message_again_keeps_the_first_and_whether_it_was_read(db: Database, wire: InboxWire) -> None:
    first = wire.provider.send(outgoing(recipient=ANNA))
    [row] = rows(db)
    assert row.id is not None
    with db.write() as session:
        in_app.mark(session, ANNA, row.id, "read", NOW)
    assert wire.provider.send(outgoing(recipient=ANNA, subject="changed")) == first
    [row] = rows(db)
    assert (row.parts["title"], row.read_at) == (outgoing().subject, NOW)


def test_it_reaches_the_contact_that_the_recipient_has_become(db: Database, wire: InboxWire) -> None:
    with db.write() as session:
        session.add(Contact(id="old", merged_into=ANNA, created_at=NOW, updated_at=NOW))
    wire.provider.send(outgoing(recipient="old"))
    assert [row.contact_id for row in rows(db)] == [ANNA]


def test_an_account_of_it_asks_for_nothing() -> None:
    assert account_setup.read(SiteInbox, {})[1].config == {}
