"""A mail server, a clock that it is sent by, and the death of a process that sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from activities.providers.provider import Answer, Outgoing


@dataclass
class Moment:
    """A clock that stands still until it is told to go."""

    at: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    real_now = now

    def to_virtual(self, real: datetime) -> datetime:
        return real

    to_real = to_virtual

    def later(self, virtual: datetime, span: timedelta) -> datetime:
        return virtual + span


@dataclass
class Post:
    """A mail server. `failures` are raised instead of an answer; `silent` ones after the mail has arrived."""

    name: str = "post"
    delivery_check: str = "idempotent"
    remembers: timedelta = timedelta(days=1)
    timeout_seconds: float = 60.0
    reaches_people: bool = True
    reaches: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset({"email"})
    arrived: list[Outgoing] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    silent: list[BaseException] = field(default_factory=list)

    def send(self, mail: Outgoing) -> Answer:
        if self.failures:
            raise self.failures.pop(0)
        if self.delivery_check != "idempotent" or mail.once_key not in {one.once_key for one in self.arrived}:
            self.arrived.append(mail)
        if self.silent:
            raise self.silent.pop(0)
        return Answer(provider_id=mail.once_key)

    def lookup(self, once_key: str) -> Answer | None:
        return Answer(provider_id=once_key) if once_key in {one.once_key for one in self.arrived} else None


class Death(BaseException):
    """SIGKILL, as near as a test gets: nothing in the product catches it."""
