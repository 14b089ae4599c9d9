"""The background work of segments: everybody is asked about a new rule, and the members of a deleted one are taken away. A page a time.

A page and its cursor move in one transaction, so a fill goes on where it was interrupted. What happens to contacts meanwhile is marked as ever;
a contact that is marked before the fill reaches it is asked twice, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from crm.segments.evaluation import FILLING, Voice, ask_stretch
from models import Event, Job, Segment, SegmentDay, SegmentFlip, SegmentMember, lock
from storage import segment_marks
from storage.sql import on, table

members = table(SegmentMember)

PAGE = 400
"""Contacts that are asked in one transaction of a fill."""
PATIENCE = timedelta(minutes=1)
"""A transaction of ours that writes is over long before."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a page did. `cursor`: where the next begins, None at the end. `events`: stored and not yet routed; only where it was asked for."""

    cursor: str | None
    counts: Mapping[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def fill_page(session: Session, job: Job, now: datetime) -> Filled:
    """Asks the next contacts. A fill whose segment has a newer rule, or is deleted, is over at once.

    The order of locks is the contacts' and then the segment's, as everywhere.
    """
    segments = table(Segment)
    row = on(session).execute(select(segments.c.version, segments.c.state).where(segments.c.id == job.input["segment"])).first()
    if row is None or row.version != job.input["version"] or row.state != FILLING:
        return Filled(None)
    cursor = job.cursor
    if not cursor.startswith(FROM):
        begun = since_when(session, cursor)
        if begun is not None:
            return Filled(begun)
        cursor = FROM
    voice = Voice(silent=not job.input["announce"])
    done, last = ask_stretch(session, job.input["segment"], cursor.removeprefix(FROM), PAGE, now, voice)
    if last is None:
        _finish(session, job)
    counts = {"asked": done.contacts, "entered": done.entered, "left": done.left}
    return Filled(None if last is None else f"{FROM}{last}", {name: number for name, number in counts.items() if number}, done.events)


def empty_page(session: Session, job: Job, now: datetime) -> Filled:
    """Takes away the next members of a deleted segment, silently, and at the end the segment itself."""
    id = job.input["segment"]
    for rows in (members, table(SegmentFlip)):
        page = list(on(session).execute(select(rows.c.contact_id).where(rows.c.segment_id == id).limit(PAGE)).scalars())
        if page:
            on(session).execute(delete(rows).where(rows.c.segment_id == id, rows.c.contact_id.in_(page)))
            return Filled(rows.name, {"left" if rows is members else "forgotten": len(page)})
    on(session).execute(delete(table(SegmentDay)).where(table(SegmentDay).c.segment_id == id))
    on(session).execute(delete(table(Segment)).where(table(Segment).c.id == id))
    return Filled(None)


FROM, WAIT = "from:", "wait:"


def since_when(session: Session, cursor: str) -> str | None:
    """The cursor to wait with, None once nothing is to be waited for.

    On PostgreSQL a transaction that began before the segment was there may still write, and knows nothing of it; the fill begins when those are
    over, and so meets what they wrote. SQLite lets one write at a time.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    real: datetime = on(session).execute(select(func.clock_timestamp())).scalar_one()
    since = datetime.fromisoformat(cursor.removeprefix(WAIT)) if cursor.startswith(WAIT) else real
    if real - since < PATIENCE and on(session).execute(_OLDER, {"since": since}).scalar_one():
        return f"{WAIT}{since.isoformat()}"
    return None


_OLDER: Any = text(
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start <= :since)"
)


def _finish(session: Session, job: Job) -> None:
    """Everybody was asked: from now on changes are told. A newer version has a fill of its own."""
    segments = table(Segment)
    mine = (segments.c.id == job.input["segment"], segments.c.version == job.input["version"])
    if on(session).execute(lock(session, select(segments.c.id).where(*mine))).first() is not None:
        on(session).execute(segments.update().where(*mine, segments.c.state == FILLING).values(state="live"))
        segment_marks.changed(session)
