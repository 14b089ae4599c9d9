"""Addresses that get nothing. Kept as keyed hashes, so that an entry outlives an erasure without naming anybody.

The functions take `keys`: the first writes, all are read, so that changing the signing key lets nobody back in. A key that wrote
entries must stay in the list for good.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.channels import ADDRESSED, CHANNELS
from journeys.errors import Invalid
from models import Suppression
from storage import identifiers
from storage.json_values import clean_text
from storage.sql import on, table
from workspace.audit import record

REASONS = ("hard_bounce", "bounce_streak", "complaint", "unsubscribe", "manual", "import", "invalid", "objection")
"""`unsubscribe` stops marketing only, the others everything; the gate knows."""


_rows = table(Suppression)
_reasons = sql_select(_rows.c.reason).where(
    _rows.c.channel == bindparam("on"), _rows.c.address_hash.in_(bindparam("hashes", expanding=True))
)


def suppress(
    session: Session, keys: Sequence[bytes], channel: str, address: str, reason: str, now: datetime, source: str = ""
) -> Suppression:
    """Stops everything to `address` on `channel`. The first reason stays; a second call changes nothing.

    Raises:
        Invalid: unknown reason, no address or no key.
    """
    if reason not in REASONS:
        raise Invalid("Expected a reason out of {reasons}.", reasons=list(REASONS))
    present = find(session, keys, channel, address)
    if present is not None:
        return present
    row = Suppression(
        channel=channel,
        address_hash=hashed(keys[0], channel, address),
        reason=reason,
        source=clean_text(source)[:200],
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def is_suppressed(session: Session, keys: Sequence[bytes], channel: str, address: str) -> str | None:
    """The reason why `address` gets nothing on `channel`, of several one that stops everything; None if it may."""
    return min(reasons(session, keys, channel, address), key=lambda why: (why == "unsubscribe", why), default=None)


def reasons(session: Session, keys: Sequence[bytes], channel: str, address: str) -> list[str]:
    """Why `address` gets nothing on `channel`: an entry for each of `keys` at most; empty if it may."""
    return list(on(session).execute(_reasons, {"on": channel, "hashes": hashes(keys, channel, address)}).scalars())


def find(session: Session, keys: Sequence[bytes], channel: str, address: str, reason: str | None = None) -> Suppression | None:
    """The entry for an address, whatever key wrote it; one of this `reason` if it is given."""
    found = hashes(keys, channel, address)
    statement = select(Suppression).where(Suppression.channel == channel, col(Suppression.address_hash).in_(found))
    return session.scalar((statement.where(Suppression.reason == reason) if reason else statement).limit(1))


def hashes(keys: Sequence[bytes], channel: str, address: str) -> list[str]:
    """`hashed` with each of `keys`.

    Raises:
        Invalid: the address is empty, or there is no key.
    """
    if not keys:
        raise Invalid("Expected at least one key to look up suppressed addresses.")
    named = _named(channel, address)
    return [hmac.digest(key, named, "sha256").hex() for key in keys]


def lift(session: Session, keys: Sequence[bytes], channel: str, address: str, by: str, why: str) -> bool:
    """Takes an entry away, audited; False if there was none. `why` is the evidence: what changed since."""
    row = find(session, keys, channel, address)
    if row is None:
        return False
    record(session, by, "suppression.lift", f"suppression:{row.address_hash[:16]}", {"channel": channel, "reason": row.reason}, why=why)
    session.delete(row)
    session.flush()
    return True


def hashed(key: bytes, channel: str, address: str) -> str:
    """HMAC-SHA256 (hex) of the normalised address; equal for every spelling of it.

    Raises:
        Invalid: the address is empty.
    """
    return hmac.digest(key, _named(channel, address), "sha256").hex()


def _named(channel: str, address: str) -> bytes:
    spelled = _spelling(channel, address)
    if not spelled:
        raise Invalid("Expected an address.")
    return f"{channel}\n{spelled}".encode()


def _spelling(channel: str, address: str) -> str:
    own = CHANNELS[channel].compared(address) if channel in CHANNELS else None
    if own is not None:
        return own
    kind = ADDRESSED.get(channel)
    found = identifiers.normalise(kind, address) if kind else clean_text(address).strip()
    return clean_text(address).strip().lower() if isinstance(found, identifiers.Refused) else found
