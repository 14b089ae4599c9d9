"""A contact's inbox on the customer's site: what comes in, what is shown, what was read or put away.

A message is shown until it expires or is dismissed; nobody has to be told when one expires, whoever looks leaves it out. It is deleted some
time after that (`crm.privacy.retention`). Events are the caller's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import NotFound
from models import InAppMessage
from storage.locks import lock_contact
from storage.sql import insert_new, on

KEPT = timedelta(days=30)
"""How long a message is kept after it expired, so that the same one sent again is known."""
MAX_PAGE = 100
MOST_COUNTED = 100
"""Unread messages beyond these are not counted."""

Mark = Literal["read", "dismissed"]


def add(
    session: Session, contact_id: str, idempotency_key: str, message_id: str, parts: Mapping[str, str], now: datetime, expires_at: datetime
) -> None:
    """Puts a message into the inbox of the contact, or of the one that it has become; the same key a second time changes nothing.

    Raises:
        NotFound: there is no such contact, or it was erased.
    """
    contact = lock_contact(session, contact_id)
    if contact.erased_at is not None:
        raise NotFound("There is no such contact.", contact_id=contact_id)
    row = {
        "idempotency_key": idempotency_key,
        "message_id": message_id,
        "contact_id": contact.id,
        "parts": dict(parts),
        "created_at": now,
        "expires_at": expires_at,
    }
    on(session).execute(insert_new(session, InAppMessage, ("idempotency_key",)), row)


def number_of(session: Session, idempotency_key: str) -> int | None:
    """The id of the message that came in under a key."""
    return session.scalar(select(InAppMessage.id).where(InAppMessage.idempotency_key == idempotency_key))


def shown(session: Session, contact_id: str, now: datetime, *, before: int | None = None, limit: int = MAX_PAGE) -> list[InAppMessage]:
    """What is in the inbox, newest first; `before` an id for the page after it."""
    older = [col(InAppMessage.id) < before] if before is not None else []
    statement = select(InAppMessage).where(*_present(contact_id, now), *older)
    return list(session.scalars(statement.order_by(col(InAppMessage.id).desc()).limit(limit)))


def since(session: Session, contact_id: str, after: int, now: datetime, limit: int = MAX_PAGE) -> list[InAppMessage]:
    """What came in after a message, oldest first."""
    statement = select(InAppMessage).where(*_present(contact_id, now), col(InAppMessage.id) > after)
    return list(session.scalars(statement.order_by(col(InAppMessage.id)).limit(limit)))


def newest(session: Session, contact_id: str) -> int:
    """The id of the newest message, whatever became of it; 0 if there is none."""
    return session.scalar(select(func.max(InAppMessage.id)).where(InAppMessage.contact_id == contact_id)) or 0


def unread(session: Session, contact_id: str, now: datetime) -> int:
    """How many messages in the inbox are not read yet, `MOST_COUNTED` at most."""
    those = select(InAppMessage.id).where(*_present(contact_id, now), col(InAppMessage.read_at).is_(None)).limit(MOST_COUNTED)
    return session.scalar(select(func.count()).select_from(those.subquery())) or 0


def mark(session: Session, contact_id: str, id: int, what: Mark, now: datetime) -> InAppMessage | None:
    """Notes that a message was read or put away, under the contact's lock; the message, or None if that is known already.

    Raises:
        NotFound: this contact has no such message.
    """
    contact = lock_contact(session, contact_id)
    row = session.scalar(select(InAppMessage).where(InAppMessage.id == id, InAppMessage.contact_id == contact.id))
    if row is None:
        raise NotFound("There is no such message.")
    if (row.read_at if what == "read" else row.dismissed_at) is not None:
        return None
    if what == "read":
        row.read_at = now
    else:
        row.dismissed_at = now
    session.add(row)
    return row


def _present(contact_id: str, now: datetime) -> list[ColumnElement[bool]]:
    return [
        col(InAppMessage.contact_id) == contact_id,
        col(InAppMessage.expires_at) > now,
        col(InAppMessage.dismissed_at).is_(None),
    ]
