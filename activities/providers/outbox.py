"""The provider `outbox`: keeps every message in our own database, where people can look at it. It reaches nobody.

The default of `pfadwerk dev` and of staging, for every channel.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import select
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.orm import Session

from activities.providers.provider import (
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    MessageDead,
    Outgoing,
    ProviderConfig,
    RetryLater,
    Surroundings,
)
from journeys.channels import SENDABLE, TO_TEAM
from models import Database, OutboxItem
from storage.sql import table, upsert

CHANNELS = frozenset({*SENDABLE, *TO_TEAM})
items = table(OutboxItem)


class Outbox(ConfiguredProvider):
    """Idempotent: the once key is a unique column, so a repeated send finds the first one's row."""

    name = "outbox"
    label = "Outbox"
    channels = CHANNELS
    delivery_check: DeliveryCheck = "idempotent"
    remembers = timedelta.max
    """What it took lies in the database, and is restored or lost with it."""
    reaches_people = False
    timeout_seconds = 10.0

    def __init__(self, db: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db = db
        self._now = now

    @classmethod
    def open(cls, config: ProviderConfig, around: Surroundings) -> Self:
        return cls(around.db, around.now)

    def send(self, message: Outgoing) -> Answer:
        try:
            with self._db.write() as session:
                self._store(session, message)
                found = self._found(session, message.once_key)
        except DataError:
            raise MessageDead("outbox_data") from None
        except DBAPIError:
            raise RetryLater("outbox_database") from None  # its text holds the message
        assert found is not None
        return found

    def lookup(self, once_key: str) -> Answer | None:
        with self._db.read() as session:
            return self._found(session, once_key)

    def verify(self) -> None:
        try:
            with self._db.read() as session:
                session.execute(select(items.c.id).limit(1))
        except DBAPIError:
            raise RetryLater("outbox_database") from None

    def close(self) -> None:
        """The database is not ours to close."""

    def _store(self, session: Session, message: Outgoing) -> None:
        row = {
            "idempotency_key": message.once_key,
            "message_id": message.message_id or None,
            "channel": message.channel,
            "recipient": message.recipient,
            "subject": message.subject,
            "html": message.html,
            "text": message.text,
            "parts": dict(message.parts),
            "headers": _headers(message),
            "accepted_at": self._now(),
        }
        session.execute(upsert(session, OutboxItem).values(row).on_conflict_do_nothing(index_elements=["idempotency_key"]))

    def _found(self, session: Session, once_key: str) -> Answer | None:
        number = session.scalar(select(items.c.id).where(items.c.idempotency_key == once_key))
        return None if number is None else Answer(provider_id=str(number))


def _headers(message: Outgoing) -> dict[str, str]:
    return {name: value for name, value in {"From": message.sender, "Reply-To": message.reply_to, **message.headers}.items() if value}
