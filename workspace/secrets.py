"""Secrets that people give us (webhook keys, Slack addresses): named, encrypted at rest, never shown again."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Invalid, NotFound
from models import Secret
from workspace.audit import record

MAX_CHARACTERS = 4_000


def put(session: Session, keys: Sequence[bytes], name: str, value: str, by: str, now: datetime) -> Secret:
    """Stores or replaces the secret; audited without its value. The first of `keys` encrypts, all decrypt.

    Raises:
        Invalid: no name, or a value that is empty or too long.
    """
    if not 0 < len(name) <= 64 or not 0 < len(value) <= MAX_CHARACTERS:
        raise Invalid("A secret needs a name of at most 64 and a value of at most {limit} characters.", limit=MAX_CHARACTERS)
    row = session.get(Secret, name) or Secret(name=name, sealed="", updated_at=now)
    row.sealed, row.updated_at, row.updated_by = seal(keys, value), now, by[:120]
    session.add(row)
    record(session, by, "secret.put", f"secret:{name}", {})
    session.flush()
    return row


def reveal(session: Session, keys: Sequence[bytes], name: str) -> str:
    """The value, for the call that needs it.

    Raises:
        NotFound: there is no such secret, or it was sealed with a key that is gone.
    """
    row = session.get(Secret, name)
    if row is None:
        raise NotFound("There is no secret “{name}”: add it in the settings.", name=name[:64])
    value = unseal(keys, row.sealed)
    if value is None:
        raise NotFound("The secret “{name}” was encrypted with a key that no longer exists: enter it again.", name=name[:64])
    return value


def names(session: Session) -> list[str]:
    """Every name, for forms and checks."""
    return list(session.scalars(select(Secret.name).order_by(col(Secret.name))))


def remove(session: Session, name: str, by: str) -> None:
    """Forgets the secret. Raises: NotFound."""
    row = session.get(Secret, name)
    if row is None:
        raise NotFound("There is no secret “{name}”.", name=name[:64])
    session.delete(row)
    record(session, by, "secret.remove", f"secret:{name}", {})
    session.flush()


def seal(keys: Sequence[bytes], value: str) -> str:
    """What is stored of something that has to be read again: encrypted with the first key."""
    return _box(keys).encrypt(value.encode()).decode()


def unseal(keys: Sequence[bytes], sealed: str) -> str | None:
    """The value; None where the key is gone."""
    try:
        return _box(keys).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _box(keys: Sequence[bytes]) -> MultiFernet:
    """Fernet keys derived from the signing keys, so that one secret file is all there is to keep."""
    return MultiFernet([Fernet(urlsafe_b64encode(hashlib.sha256(b"pfadwerk:secrets:" + key).digest())) for key in keys])
