"""What the pages of a segment ask: how many a rule would find, a few of them, and why somebody is in or out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.rules.answers import contacts
from crm.rules.expression import expression, living
from crm.rules.sql_facts import SqlFacts
from crm.segments import members
from crm.segments.evaluation import rule_of
from journeys.errors import NotFound
from journeys.rules import Rule, explain
from models import Segment, SegmentFlip, SegmentMember
from storage import segment_marks
from storage.sql import on, table

SAMPLE = 10
STEPS_BETWEEN = 20_000
"""Instructions of SQLite between two looks at the time: a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many living contacts a rule holds for; None: it took too long. `sample`: ids of the newest of them, as many as were found in time."""

    count: int | None
    sample: Sequence[str]


@dataclass(frozen=True, slots=True)
class Why:
    """Why somebody is in or out: the terms of the rule as `journeys.rules.explain` has them, none for a list kept by hand. `since`: of the
    membership; `flips_at`: when time alone may change it."""

    member: bool
    since: datetime | None
    terms: Sequence[dict[str, Any]]
    flips_at: datetime | None


def count(session: Session, rule: Rule, as_of: datetime, seconds: float) -> Counted:
    """Asks the database for at most so long, first for the sample and then for the number.

    Raises:
        Invalid: the rule asks about a run.
    """
    matching = (living(), expression(rule, as_of))
    few = select(contacts.c.id).where(*matching).order_by(contacts.c.id.desc()).limit(SAMPLE)
    all = select(func.count()).select_from(contacts).where(*matching)
    sample: Sequence[str] = ()
    with _limited(session, seconds) as over:
        sample = session.execute(few).scalars().all()
        return Counted(int(session.execute(all).scalar_one()), sample)
    assert over, "it went on past the end"
    return Counted(None, sample)


def why(session: Session, key: str, contact_id: str, now: datetime) -> Why:
    """Raises:
    NotFound: no such segment, or no such contact."""
    segment = segment_marks.known(session).by_key.get(key)
    if segment is None:
        raise NotFound("There is no segment “{key}”.", key=key[:64])
    rows, flips = table(SegmentMember), table(SegmentFlip)
    facts = SqlFacts(session, contact_id, as_of=now)
    assert facts.contact["id"] == contact_id
    theirs = select(rows.c.since).where(rows.c.segment_id == segment.id, rows.c.contact_id == contact_id)
    since = on(session).execute(theirs).scalar()
    planned = select(flips.c.at).where(flips.c.segment_id == segment.id, flips.c.contact_id == contact_id)
    terms = explain(rule_of(segment), facts, now) if segment.rule is not None else []
    return Why(since is not None, since, terms, on(session).execute(planned).scalar())


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of two segments: members of each, and of both."""

    one: int
    other: int
    both: int


def overlap(session: Session, one: Segment, other: Segment) -> Overlap:
    ids = [id for id in (one.id, other.id) if id is not None]
    counts = members.counts(session, ids)
    return Overlap(counts.get(ids[0], 0), counts.get(ids[1], 0), members.overlap(session, *ids))


@contextmanager
def _limited(session: Session, seconds: float) -> Iterator[list[bool]]:
    """What is asked inside may take so long and ends quietly then; the transaction is of no further use on PostgreSQL."""
    over: list[bool] = []
    connection = on(session)
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": f"{int(seconds * 1000)}ms"})
        try:
            yield over
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != "57014":  # query_canceled
                raise
            over.append(True)
        return
    raw: Any = connection.connection.driver_connection
    until = monotonic() + seconds
    raw.set_progress_handler(lambda: int(monotonic() > until), STEPS_BETWEEN)
    try:
        yield over
    except DBAPIError as error:
        if "interrupted" not in str(error.orig):
            raise
        over.append(True)
    finally:
        raw.set_progress_handler(None, 0)
