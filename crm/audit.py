"""The audit trail: who did what, in a chain that shows if a line was changed or taken out.

Every line's digest covers its content and the digest before it. Personal data does not belong in `detail`: ids and names of
settings do, so that the trail can outlive an erasure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.payload import clean_object, clean_text
from models import Audit

MAX_DETAIL_BYTES = 16_384
FIRST = "0" * 64
"""The digest before the first line."""
_LOCK = 7_263_402
_PAGE = 1_000


def record(session: Session, actor: str, action: str, subject: str, detail: Mapping[str, object], now: datetime) -> Audit:
    """Appends a line. `actor`: member id or API key name; `action` such as `journey.publish`; `subject` such as `journey:<id>`.

    Raises:
        TooLarge: the detail is larger than 16 kB of JSON.
    """
    kept = clean_object(detail, MAX_DETAIL_BYTES)
    _one_at_a_time(session)
    line = Audit(
        at=now, actor=clean_text(actor)[:120], action=clean_text(action)[:64], subject=clean_text(subject)[:160], detail=kept, digest=""
    )
    line.digest = _digest(_last_digest(session), line)
    session.add(line)
    session.flush()
    return line


def verify(session: Session) -> int | None:
    """The id of the first line that does not fit the chain; None if all of it holds. Reads page by page.

    Lines cut off at the end leave a valid, shorter chain: compare the newest digest with one kept elsewhere (`newest_digest`).
    """
    before, last_id = FIRST, 0
    while page := list(session.scalars(select(Audit).where(col(Audit.id) > last_id).order_by(col(Audit.id)).limit(_PAGE))):
        for line in page:
            if line.digest != _digest(before, line):
                return line.id
            before, last_id = line.digest, line.id or 0
    return None


def newest_digest(session: Session) -> str:
    """The end of the chain; worth writing down in another place."""
    return _last_digest(session)


def list_lines(
    session: Session,
    *,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Audit]:
    """Lines newest first, of one subject, actor and action or all; `before` is the id of the last line of the page before."""
    statement = select(Audit).order_by(col(Audit.id).desc()).limit(min(limit, 200))
    for column, value in ((Audit.subject, subject), (Audit.actor, actor), (Audit.action, action)):
        if value is not None:
            statement = statement.where(col(column) == value)
    if before is not None:
        statement = statement.where(col(Audit.id) < before)
    return session.scalars(statement).all()


def actions(session: Session) -> Sequence[str]:
    """Every action that the trail knows, for filters."""
    return session.scalars(select(Audit.action).distinct().order_by(col(Audit.action)).limit(200)).all()


def _last_digest(session: Session) -> str:
    return session.scalar(select(Audit.digest).order_by(col(Audit.id).desc()).limit(1)) or FIRST


def _digest(before: str, line: Audit) -> str:
    said: list[Any] = [before, line.at.isoformat(), line.actor, line.action, line.subject, line.detail]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _one_at_a_time(session: Session) -> None:
    """Two transactions that append at once would hang two lines on the same digest."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
