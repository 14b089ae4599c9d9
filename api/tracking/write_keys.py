"""Keys at the doors: looked up, remembered for seconds, their use noted. Making and ending them is in `workspace.api_keys`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import update
from sqlmodel import col, select

from models import ApiKey, Database
from workspace.api_keys import GRACE, add_key, hashed, revoke_key, rotate_key

__all__ = ["GRACE", "KeyRing", "add_key", "hashed", "revoke_key", "rotate_key"]

CACHE_SECONDS = 5.0
"""How long a process trusts a key it has seen: a revocation elsewhere is felt after this."""
MAX_CACHED = 10_000

Door = Literal["write", "admin"]
"""Where a key is shown: the tracking door (browser and server keys) or the admin interface."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the doors see it."""

    id: str
    kind: str
    role: str
    name: str
    source: str
    """What its events have as their source (`models.ApiKey`)."""
    expires_at: datetime | None

    @property
    def door(self) -> Door:
        return "admin" if self.kind == "admin" else "write"


class KeyRing:
    """Looks keys up, remembers them for seconds, and notes their use once a minute at most."""

    def __init__(self, db: Database, now: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._now = now
        self._monotonic = monotonic
        self._seen: dict[str, tuple[Key | None, float]] = {}
        self._used: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def cached(self, secret: str, door: Door) -> tuple[bool, Key | None]:
        """(whether the answer is known without the database, the valid key or None)."""
        key, until = self._seen.get(hashed(secret), (None, 0.0))
        if self._monotonic() >= until:
            return False, None
        return True, self._usable(key, door)

    def find(self, secret: str, door: Door) -> Key | None:
        """The valid key that opens this door, from the database unless it was looked up seconds ago."""
        known, key = self.cached(secret, door)
        if known:
            return key
        digest = hashed(secret)
        with self._db.read() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.key_hash == digest, col(ApiKey.revoked_at).is_(None)))
        found = Key(row.id, row.kind, row.role, row.name, row.source, row.expires_at) if row is not None else None
        with self._lock:
            if len(self._seen) >= MAX_CACHED:
                self._seen.clear()
            self._seen[digest] = (found, self._monotonic() + CACHE_SECONDS)
        return self._usable(found, door)

    def forget(self) -> None:
        """Looks everything up anew: a key of this process was rotated or revoked."""
        with self._lock:
            self._seen.clear()

    def _usable(self, key: Key | None, door: Door) -> Key | None:
        now = self._now()
        if key is None or key.door != door or (key.expires_at is not None and now >= key.expires_at):
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
