"""Keys for programs: 256 random bits, of which only the SHA-256 is stored; a key itself is shown once. Looking one up per request is the web server's part.

Three kinds. `browser` and `server` keys send events; what a browser key sends, anybody can have sent (`crm.people.visitors`). `admin` keys
open the admin interface, with a role out of the table that members have (`workspace.roles`).

A plain hash is enough because nobody can guess 256 bits; password hashing would cost 100 ms a request and protect nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, NotFound
from models import ApiKey

Kind = Literal["browser", "server", "admin"]
Role = Literal["admin", "marketer", "engineer", "tester", "sales", "viewer"]

PREFIXES: dict[Kind, str] = {"browser": "pfb_", "server": "pfw_", "admin": "pfa_"}
GRACE = timedelta(days=7)
"""How long the old key stays valid after a rotation, unless said otherwise."""
MAX_GRACE = timedelta(days=90)


def hashed(secret: str) -> str:
    """What is stored of a key, a login link or a session."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_key(
    session: Session, kind: Kind, name: str, now: datetime, secret: str | None = None, *, role: Role = "admin"
) -> tuple[ApiKey, str]:
    """Stores a new key; returns the row and the key itself, which is shown once and never again. `secret` only for demo keys; `role` is what
    an admin key may do.

    Raises:
        Conflict: browser keys and others may not share a name: people see it as the source of events, and anybody may send with a browser key.
    """
    if _named_otherwise(session, kind, name):
        raise Conflict("The name “{name}” belongs to a key of another kind; choose another one.", name=name[:64])
    secret = secret or PREFIXES[kind] + secrets.token_urlsafe(32)
    key = ApiKey(kind=kind, role=role if kind == "admin" else "", name=name, prefix=secret[:12], key_hash=hashed(secret), created_at=now)
    key.source = f"key:{key.id}"
    session.add(key)
    session.flush()
    return key, secret


def rotate_key(session: Session, key_id: str, now: datetime, grace: timedelta = GRACE) -> tuple[ApiKey, str]:
    """A new key of the same kind, role, name and source; the old one stays valid for `grace`. An event that is sent with the one and again with
    the other is stored once.

    Raises:
        NotFound: no such key.
        Conflict: it was revoked or has expired.
        Invalid: a grace below zero or above 90 days.
    """
    if not timedelta(0) <= grace <= MAX_GRACE:
        raise Invalid("Expected a grace period between PT0S and P90D.")
    old = get_key(session, key_id)
    if not is_valid(old, now):
        raise Conflict("This key is no longer valid; create a new one instead.")
    old.expires_at = now + grace
    session.add(old)
    new, secret = add_key(session, cast(Kind, old.kind), old.name, now, role=cast(Role, old.role or "admin"))
    new.source = old.source
    session.add(new)
    return new, secret


def _named_otherwise(session: Session, kind: Kind, name: str) -> bool:
    browsers = col(ApiKey.kind) == "browser"
    others = select(ApiKey.id).where(ApiKey.name == name, ~browsers if kind == "browser" else browsers)
    return session.scalar(others.limit(1)) is not None


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


def list_keys(session: Session, *, before: str | None = None, limit: int = 50) -> list[ApiKey]:
    """Keys newest first, revoked ones too; `before` is the id of the last one of the page before."""
    statement = select(ApiKey).order_by(col(ApiKey.id).desc()).limit(limit)
    return list(session.scalars(statement.where(col(ApiKey.id) < before) if before else statement))


def is_valid(key: ApiKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)
