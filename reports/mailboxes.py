"""How the mailbox of an account is read: when last, how many mails, and which were passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import col, select

from models import MailboxReading, UnreadMail

MOST = 50


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A mail that could not be dealt with; it lies in the mailbox under this UID. `code` is why."""

    uid: int
    code: str
    passed_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """`read_at`: when all that was there had been read, None: not yet. `taken`: mails so far. `passed_over`: the last ones, the newest on top."""

    read_at: datetime | None
    taken: int
    passed_over: Sequence[PassedOver]


def reading_of(session: Session, account: str) -> Reading | None:
    """None: nobody has looked there yet, or it is no mailbox."""
    row = session.get(MailboxReading, account)
    if row is None:
        return None
    newest = select(UnreadMail).where(col(UnreadMail.account) == account).order_by(col(UnreadMail.id).desc()).limit(MOST)
    return Reading(row.read_at, row.taken, [PassedOver(one.uid, one.code, one.passed_at) for one in session.scalars(newest)])
