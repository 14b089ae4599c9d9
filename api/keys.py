"""Write keys and admin keys: 256 random bits, of which only the SHA-256 is stored.

A plain hash is enough because nobody can guess 256 bits; password hashing would cost 100 ms a request and protect nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, NotFound
from models import ApiKey, Database

Kind = Literal["write", "admin"]

PREFIXES: dict[str, str] = {"write": "pfw_", "admin": "pfa_"}
GRACE = timedelta(days=7)
"""How long the old key stays valid after a rotation, unless said otherwise."""
CACHE_SECONDS = 5.0
"""How long a process trusts a key it has seen: a revocation elsewhere is felt after this."""
MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the doors see it."""

    id: str
    kind: str
    name: str
    expires_at: datetime | None


def hashed(secret: str) -> str:
    """What is stored of a key, a login link or a session."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_key(session: Session, kind: Kind, name: str, now: datetime, secret: str | None = None) -> tuple[ApiKey, str]:
    """Stores a new key; returns the row and the key itself, which is shown once and never again. `secret` only for demo keys."""
    secret = secret or PREFIXES[kind] + secrets.token_urlsafe(32)
    key = ApiKey(kind=kind, name=name, prefix=secret[:12], key_hash=hashed(secret), created_at=now)
    session.add(key)
    session.flush()
    return key, secret


def rotate_key(session: Session, key_id: str, now: datetime, grace: timedelta = GRACE) -> tuple[ApiKey, str]:
    """A new key of the same kind and name; the old one stays valid for `grace`.

    Raises:
        NotFound: no such key.
        Conflict: it was revoked or has expired.
        Invalid: a grace below zero or above 90 days.
    """
    if not timedelta(0) <= grace <= timedelta(days=90):
        raise Invalid("Expected a grace period between PT0S and P90D.")
    old = get_key(session, key_id)
    if not _valid(old.revoked_at, old.expires_at, now):
        raise Conflict("This key is no longer valid; make a new one instead.")
    old.expires_at = now + grace
    session.add(old)
    return add_key(session, "admin" if old.kind == "admin" else "write", old.name, now)


def revoke_key(session: Session, key_id: str, now: datetime) -> ApiKey:
    """Ends a key at once; doing it twice changes nothing.

    Raises:
        NotFound: no such key.
    """
    key = get_key(session, key_id)
    key.revoked_at = key.revoked_at or now
    session.add(key)
    return key


def get_key(session: Session, key_id: str) -> ApiKey:
    """Raises:
    NotFound: no such key."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound("There is no key with this id.")
    return key


def _valid(revoked_at: datetime | None, expires_at: datetime | None, now: datetime) -> bool:
    return revoked_at is None and (expires_at is None or now < expires_at)


class KeyRing:
    """Looks keys up, remembers them for seconds, and notes their use once a minute at most."""

    def __init__(self, db: Database, now: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._now = now
        self._monotonic = monotonic
        self._seen: dict[str, tuple[Key | None, float]] = {}
        self._used: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def cached(self, secret: str, kind: Kind) -> tuple[bool, Key | None]:
        """(whether the answer is known without the database, the valid key or None)."""
        key, until = self._seen.get(hashed(secret), (None, 0.0))
        if self._monotonic() >= until:
            return False, None
        return True, self._usable(key, kind)

    def find(self, secret: str, kind: Kind) -> Key | None:
        """The valid key of this kind, from the database unless it was looked up seconds ago."""
        known, key = self.cached(secret, kind)
        if known:
            return key
        digest = hashed(secret)
        with self._db.read() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.key_hash == digest, col(ApiKey.revoked_at).is_(None)))
        found = Key(row.id, row.kind, row.name, row.expires_at) if row is not None else None
        with self._lock:
            if len(self._seen) >= MAX_CACHED:
                self._seen.clear()
            self._seen[digest] = (found, self._monotonic() + CACHE_SECONDS)
        return self._usable(found, kind)

    def forget(self) -> None:
        """Looks everything up anew: a key of this process was rotated or revoked."""
        with self._lock:
            self._seen.clear()

    def _usable(self, key: Key | None, kind: Kind) -> Key | None:
        now = self._now()
        if key is None or key.kind != kind or (key.expires_at is not None and now >= key.expires_at):
            return None
        self._used[key.id] = now
        return key

    def flush(self) -> None:
        """Writes the times of last use that have piled up, in one transaction."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        with self._db.write() as session:
            for key_id, at in sorted(used.items()):
                session.execute(update(ApiKey).where(col(ApiKey.id) == key_id).values(last_used_at=at))
