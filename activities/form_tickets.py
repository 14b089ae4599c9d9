"""Tickets of forms: every page with a form has one, made by us when it was shown. It says which wording was shown and since when, and is good for
one submission. Nothing is stored until something is sent in."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct

from activities.tracking import Signer

LIFE = timedelta(hours=24)
_PAYLOAD = Struct("!QII12s")


@dataclass(frozen=True, slots=True)
class Ticket:
    """`nonce`: 24 hex digits, of this page alone."""

    form_id: int
    version: int
    shown_at: datetime
    nonce: str


class FormTickets:
    """`keys` as those of `activities.tracking.Signer`. Instants are real time."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._signer = Signer(keys)

    def make(self, form_id: int, version: int, now: datetime) -> str:
        return self._signer.sign("form", _PAYLOAD.pack(form_id, version, int(now.timestamp()), secrets.token_bytes(12)))

    def read(self, token: str, form_id: int, now: datetime) -> Ticket | None:
        """A ticket of ours for this form that is still good."""
        ticket = self._ours(token, form_id)
        return ticket if ticket is not None and now < ticket.shown_at + LIFE else None

    def is_over(self, token: str, form_id: int, now: datetime) -> bool:
        """Whether it was a good one of ours: whoever sends it has had the page open for long."""
        ticket = self._ours(token, form_id)
        return ticket is not None and now >= ticket.shown_at + LIFE

    def _ours(self, token: str, form_id: int) -> Ticket | None:
        payload = self._signer.read("form", token, _PAYLOAD.size)
        if payload is None:
            return None
        of, version, second, nonce = _PAYLOAD.unpack(payload)
        return Ticket(of, version, datetime.fromtimestamp(second, UTC), nonce.hex()) if of == form_id else None
