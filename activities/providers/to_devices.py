"""What the providers of push messages have in common: a message goes to every device of the contact that the account reaches.

It counts as sent once one device's push service has taken it; a device that could not be reached then is not tried again, since the same
notification hours later on a second screen helps nobody ([decision 045](../../docs/decisions/045-one-message-to-all-devices.md)). Devices that
their push service does not know any more are removed. How one device is called is the subclasses' part.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy.exc import DBAPIError

from activities.http_client import deadline
from activities.providers.provider import (
    AddressDead,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    MessageDead,
    Outgoing,
    ProviderFailure,
    RetryLater,
    SenderStopped,
)
from activities.providers.together import NO_DEVICE, worst
from crm.people import devices
from journeys.channels import ON_DEVICES
from models import Database, Device
from storage.locks import person_of

LIFETIME: Final = timedelta(days=1)
"""How long a push service keeps a message that does not say so itself."""
DEVICE_SECONDS: Final = 8.0
"""One device's share of a call; a strange server may drip as slowly as it likes."""
LATER: Final = timedelta(seconds=30)


class ToDevices(ConfiguredProvider):
    """Idempotent in the sense that counts here: every call for a message carries the same tag, and a device that gets it twice puts the second
    notification in the place of the first. What somebody has closed meanwhile is shown once more, so it `remembers` nothing."""

    channels = frozenset(ON_DEVICES)
    delivery_check: DeliveryCheck = "idempotent"
    timeout_seconds = 25.0

    def __init__(self, db: Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    @abstractmethod
    def call(self, device: Device, message: Outgoing) -> None:
        """Hands the message to the device's push service. Raises: ProviderFailure; AddressDead: the device is gone."""

    def is_ours(self, device: Device) -> bool:
        """Whether this account may reach the device at all."""
        return True

    def send(self, message: Outgoing) -> Answer:
        found = [device for device in self._devices(message.recipient) if self.is_ours(device)]
        if not found:
            raise MessageDead(NO_DEVICE)
        failures = self._called(found, message)
        taken = len(found) - len(failures)
        gone = sum(isinstance(failure, AddressDead) for failure in failures)
        if not taken:
            raise worst(failures)
        return Answer(provider_id=tag_of(message), raw={"devices": len(found), "taken": taken, "gone": gone})

    def _called(self, found: Sequence[Device], message: Outgoing) -> list[ProviderFailure]:
        """What went wrong. An account that is refused is refused for every device; and when the time is up, it is up."""
        failures: list[ProviderFailure] = []
        until = monotonic() + self.timeout_seconds - 1.0
        for number, device in enumerate(found):
            left = until - monotonic()
            if left <= 0 or (failures and isinstance(failures[-1], SenderStopped)):
                return [*failures, *(failures[-1:] or [RetryLater("push_too_slow", LATER)]) * (len(found) - number)]
            try:
                with deadline(min(left, DEVICE_SECONDS)):
                    self.call(device, message)
            except AddressDead as failure:
                self._forget(device)
                failures.append(failure)
            except ProviderFailure as failure:
                failures.append(failure)
        return failures

    def _devices(self, contact_id: str) -> list[Device]:
        try:
            with self._db.read() as session:
                return devices.of_contact(session, person_of(session, contact_id), self.reaches)
        except DBAPIError:
            raise RetryLater("push_database") from None  # its text may hold a token

    def _forget(self, device: Device) -> None:
        """It may have registered anew meanwhile. Where the database is busy the next message finds it gone once more."""
        assert device.id is not None
        try:
            with self._db.write() as session:
                devices.take(session, device.id, "gone", self._now(), address=device.address)
        except DBAPIError:
            return

    def verify(self) -> None:
        self._devices("")


def tag_of(message: Outgoing) -> str:
    """What the notification is called on the device, where another one of the same name takes its place: 32 characters, as RFC 8030, 5.4 allows
    a topic."""
    return hashlib.sha256(f"replaces:{message.replaces}".encode()).hexdigest()[:32] if message.replaces else message.message_id[:32]


def ttl_of(message: Outgoing) -> int:
    """For how many seconds a push service keeps it."""
    return max(0, int((message.lifetime or LIFETIME).total_seconds()))


def content(message: Outgoing) -> dict[str, Any]:
    """The parts that have something in them."""
    parts = {"title": message.subject, "text": message.text, **message.parts}
    return {name: text for name in ("title", "text", "url", "button", "icon", "picture") if (text := parts.get(name))}
