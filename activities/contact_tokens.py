"""Tokens that let a website's visitor read what is theirs: short-lived, for one contact, made for the customer's server and checked at the public doors.

A browser key stands in a web page for everybody to read, so it proves nobody. Whoever has logged a person in on the customer's side says so by
asking for a token with a secret key. Nothing is stored: the token holds the contact's id and the second at which it ends, under a signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from struct import Struct

from activities.tracking import Signer

LIFE = timedelta(hours=1)
_PAYLOAD = Struct("!16sI")


class ContactTokens:
    """`keys` as those of `activities.tracking.Signer`."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._signer = Signer(keys)

    def make(self, contact_id: str, until: datetime) -> str:
        """A token for the contact (32 hex digits), good until the second of `until`."""
        return self._signer.sign("contact", _PAYLOAD.pack(bytes.fromhex(contact_id), int(until.timestamp())))

    def read(self, token: str, now: datetime) -> tuple[str, datetime] | None:
        """The contact and the end of a token of ours that is still good."""
        payload = self._signer.read("contact", token, _PAYLOAD.size)
        if payload is None:
            return None
        contact, second = _PAYLOAD.unpack(payload)
        until = datetime.fromtimestamp(second, UTC)
        return (contact.hex(), until) if now < until else None
