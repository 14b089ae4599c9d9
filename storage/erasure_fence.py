"""Between erasures and imports. On PostgreSQL a page of an import could find nobody of the name a moment after the erasure emptied the contact, and
make the person anew; here the one waits for the other.

An erasure waits for the pages that are being written and keeps the next ones out until it is committed. From then on a page sees that files are being
looked through, or that somebody was erased since its file was begun. SQLite has one writer at a time anyway.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import col, func, select

from models import Audit, Job

JOB = "erase_rest"
"""The kind of job that looks through what is left of an erasure."""
ERASED = "contact.erase"
_FENCE = 7_263_403


def keep_imports_out(session: Session) -> None:
    """For an erasure, before its first statement, until its transaction ends."""
    _fence(session, "SELECT pg_advisory_xact_lock(:number)")


def keep_erasures_out(session: Session) -> None:
    """For a page of an import, before it asks the questions below, until its transaction ends; pages do not wait for each other."""
    _fence(session, "SELECT pg_advisory_xact_lock_shared(:number)")


def _fence(session: Session, statement: str) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(statement), {"number": _FENCE})


def is_under_way(session: Session) -> bool:
    """Whether somebody's rest is being looked for: meanwhile no file is imported, which might bring the person back."""
    return session.scalar(select(Job.id).where(Job.state == "running", Job.kind == JOB).limit(1)) is not None


def newest_line(session: Session) -> int:
    """The end of the audit trail, for `erased_since`. No clock: those of two machines differ."""
    return session.scalar(select(func.max(Audit.id))) or 0


def erased_since(session: Session, line: int) -> bool:
    """Whether anybody was erased after that line of the audit trail was its end."""
    return session.scalar(select(Audit.id).where(col(Audit.id) > line, Audit.action == ERASED).limit(1)) is not None
