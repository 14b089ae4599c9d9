"""The background work of segments: everybody is asked about a new rule, and the members of a deleted one are taken away. A page a time.

Whom a rule concerns the database finds by the rule's SQL face, a stretch of contacts a time and without any lock (`prepare`): those whose membership
is not what the rule says, and those whose answer time alone may change. Only they are locked and asked, in the transactions of the job's pages:
those who need an instant by the closures as ever, the others by the same SQL. For everybody else nothing has to be written; whatever happens to them
later is marked, because everybody who writes knows the segment by then.

A page and its cursor move in one transaction, so a fill goes on where it was interrupted. A contact that is marked before the fill reaches it is
asked twice, which changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, text
from sqlalchemy.orm import Session

from crm.rules.answers import contacts
from crm.rules.expression import expression, living, may_flip
from crm.segments import members as member_rows
from crm.segments.evaluation import FILLING, Done, Voice, ask, locked, rule_of
from journeys.topics import of_segment
from models import Database, Event, Job, Segment, SegmentDay, SegmentFlip, SegmentMember, lock
from storage import segment_marks
from storage.segment_marks import KnownSegment
from storage.sql import on, table

members, flips = table(SegmentMember), table(SegmentFlip)

PAGE = 500
"""Contacts whose membership one transaction sets by a statement, or takes away: some ten milliseconds."""
DEARER = 4
"""So many of them cost what one does who is asked by the closures."""
STRETCH = 5_000
"""Contacts among whom one statement looks for those to ask."""
PATIENCE = timedelta(minutes=1)
"""A transaction of ours that writes is over long before."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a page did. `cursor`: where the next begins, None at the end. `events`: stored and not yet routed; only where it was asked for."""

    cursor: str | None
    counts: Mapping[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Contacts after `after_id` up to `last_id` (None: to the end), `size` of them. `concerned`: those of them, in their order, who have to be asked;
    True for whom time alone may change it."""

    after_id: str
    last_id: str | None
    size: int
    concerned: Mapping[str, bool]

    def after(self, id: str) -> tuple[dict[str, bool], bool]:
        """As many as one page asks, and whether there are more."""
        found, cost = dict[str, bool](), 0
        for one, flips in self.concerned.items():
            if one > id:
                cost += DEARER if flips else 1
                if cost > PAGE:
                    return found, True
                found[one] = flips
        return found, False


_found: OrderedDict[str, Stretch] = OrderedDict()
"""Job -> the stretch that it is at. A process may lose it, or keep it for long: what happened since is marked."""
MOST_FOUND = 8


def prepare(db: Database, job: Job, now: datetime) -> None:
    """Looks for whom the next page asks, before its transaction."""
    if job.cursor.startswith(FROM) and _held(job) is None:
        with db.read() as session:
            _find(session, job, now)


def _held(job: Job) -> Stretch | None:
    """The stretch in memory, if it goes on behind the cursor."""
    after, found = job.cursor.removeprefix(FROM), _found.get(job.id)
    goes_on = found is not None and found.after_id <= after and (found.last_id is None or found.last_id > after)
    return found if goes_on else None


def _find(session: Session, job: Job, now: datetime) -> Stretch | None:
    segment = segment_marks.known(session).by_id.get(job.input["segment"])
    if segment is None or segment.rule is None or segment.version != job.input["version"]:
        return None
    found = _found[job.id] = _stretch(session, segment, job.cursor.removeprefix(FROM), now)
    while len(_found) > MOST_FOUND:
        _found.popitem(last=False)
    return found


def _stretch(session: Session, segment: KnownSegment, after_id: str, now: datetime) -> Stretch:
    following = select(contacts.c.id).where(contacts.c.id > after_id).order_by(contacts.c.id)
    last_id = on(session).execute(following.offset(STRETCH - 1).limit(1)).scalar()
    inside = contacts.c.id > after_id if last_id is None else (contacts.c.id > after_id) & (contacts.c.id <= last_id)
    differs, flips = _concerned(segment, now)
    asked = select(contacts.c.id, flips).where(inside, living(), or_(differs, flips)).order_by(contacts.c.id)
    concerned = {id: bool(moving) for id, moving in on(session).execute(asked)}
    size = STRETCH if last_id is not None else on(session).execute(select(func.count()).select_from(following.subquery())).scalar_one()
    return Stretch(after_id, last_id, size, concerned)


def _concerned(segment: KnownSegment, now: datetime) -> tuple[Any, Any]:
    """Whose membership is not what the rule says; and whose answer time alone may change, or was to. Merged and erased contacts are in no
    segment, and keep no instants."""
    rule = rule_of(segment)
    planned = exists().where(flips.c.segment_id == segment.id, flips.c.contact_id == contacts.c.id)
    return expression(rule, now) != _is_member(segment.id), or_(planned, may_flip(rule, now))


def _is_member(segment_id: int) -> Any:
    return exists().where(members.c.segment_id == segment_id, members.c.contact_id == contacts.c.id)


def fill_page(session: Session, job: Job, now: datetime) -> Filled:
    """Asks the next contacts. A fill whose segment has a newer rule, or is deleted, is over at once.

    The order of locks is the contacts' and then the segment's, as everywhere.
    """
    segments = table(Segment)
    row = on(session).execute(select(segments.c.version, segments.c.state).where(segments.c.id == job.input["segment"])).first()
    if row is None or row.version != job.input["version"] or row.state != FILLING:
        return Filled(None)
    if not job.cursor.startswith(FROM):
        return Filled(since_when(session, job.cursor) or FROM)
    found, segment = _held(job) or _find(session, job, now), segment_marks.known(session).by_id[job.input["segment"]]
    if found is None:
        return Filled(None)
    asked, more = found.after(job.cursor.removeprefix(FROM))
    done = _ask(session, segment, asked, now, Voice(silent=not job.input["announce"]))
    last = max(asked) if more else found.last_id
    if last is None:
        _finish(session, job)
    passed = len(asked) if more else len(asked) + found.size - len(found.concerned)
    counts = {"asked": passed, "entered": done.entered, "left": done.left}
    return Filled(None if last is None else f"{FROM}{last}", {name: number for name, number in counts.items() if number}, done.events)


def _ask(session: Session, segment: KnownSegment, asked: Mapping[str, bool], now: datetime, voice: Voice) -> Done:
    """Where somebody is told, or other segments or scores ask for this one, and where instants are to be planned, the closures are asked; else a
    statement for all."""
    known, topic = segment_marks.known(session), of_segment(segment.key)
    by_closures = not voice.silent or topic in known.by_topic or topic in known.models_by_topic
    singly = [id for id, flips in asked.items() if flips or by_closures]
    living, done = locked(session, asked), Done()
    if singly:
        done = ask(session, {segment.id: dict.fromkeys(singly, voice)}, living.keys() & set(singly), now, filled=segment.id)
    others = [id for id in living if not (asked[id] or by_closures)]
    if others:
        entered, left = member_rows.set_by(session, segment.id, others, expression(rule_of(segment), now), now)
        done.entered, done.left = done.entered + entered, done.left + left
    return done


def empty_page(session: Session, job: Job, now: datetime) -> Filled:
    """Takes away the next members of a deleted segment, silently, and at the end the segment itself, unless it can still be taken back. Over at
    once where it was."""
    id, rows = job.input["segment"], table(Segment)
    row = on(session).execute(select(rows.c.state, rows.c.version, rows.c.deleted_at).where(rows.c.id == id)).first()
    if row is None or row.state != segment_marks.EMPTYING or job.input.get("version", row.version) != row.version:
        return Filled(None)
    ids = list(on(session).execute(select(members.c.contact_id).where(members.c.segment_id == id).limit(PAGE)).scalars())
    if ids:
        return Filled(members.name, {"left": len(member_rows.remove(session, id, ids, now))})
    ids = list(on(session).execute(select(flips.c.contact_id).where(flips.c.segment_id == id).limit(PAGE)).scalars())
    if ids:
        on(session).execute(delete(flips).where(flips.c.segment_id == id, flips.c.contact_id.in_(ids)))
        return Filled(flips.name, {"forgotten": len(ids)})
    if row.deleted_at is None:
        on(session).execute(delete(table(SegmentDay)).where(table(SegmentDay).c.segment_id == id))
        on(session).execute(delete(rows).where(rows.c.id == id))
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
