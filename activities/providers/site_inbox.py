"""The provider `site_inbox`: puts messages into the inbox that contacts have on the customer's own site. It calls nobody.

The site reads the inbox through our own interface (`api/in_app`); the rows lie in this workspace's database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import select
from sqlalchemy.exc import DataError, DBAPIError

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
from crm.people import in_app
from journeys.errors import NotFound
from models import Database, InAppMessage

LIFETIME = timedelta(days=30)
"""How long a message is shown that does not say so itself."""


class SiteInboxConfig(ProviderConfig):
    """Nothing has to be set up: the inbox is ours."""


class SiteInbox(ConfiguredProvider):
    """Idempotent: the once key is a unique column, so a repeated send finds the first one's row."""

    name = "site_inbox"
    label = "Inbox on your website"
    channels = frozenset({"in_app"})
    delivery_check: DeliveryCheck = "idempotent"
    remembers = in_app.KEPT
    Config = SiteInboxConfig
    timeout_seconds = 10.0

    def __init__(self, db: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db = db
        self._now = now

    @classmethod
    def open(cls, config: ProviderConfig, around: Surroundings) -> Self:
        return cls(around.db, around.now)

    def send(self, message: Outgoing) -> Answer:
        now = self._now()
        parts = {"title": message.subject, "text": message.text, **message.parts}
        expires_at = now + (message.lifetime or LIFETIME)
        try:
            with self._db.write() as session:
                in_app.add(session, message.recipient, message.once_key, message.message_id, parts, now, expires_at)
                number = in_app.number_of(session, message.once_key)
        except NotFound:
            raise MessageDead("no_contact") from None
        except DataError:
            raise MessageDead("inbox_data") from None
        except DBAPIError:
            raise RetryLater("inbox_database") from None  # its text holds the message
        return Answer(provider_id=str(number))

    def lookup(self, once_key: str) -> Answer | None:
        with self._db.read() as session:
            number = in_app.number_of(session, once_key)
        return None if number is None else Answer(provider_id=str(number))

    def verify(self) -> None:
        try:
            with self._db.read() as session:
                session.execute(select(InAppMessage.id).limit(1))  # type: ignore[call-overload]
        except DBAPIError:
            raise RetryLater("inbox_database") from None

    def close(self) -> None:
        """The database is not ours to close."""
