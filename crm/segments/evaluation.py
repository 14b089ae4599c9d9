"""Asks contacts again whether they are in segments: those that are marked, those whose instant has come, or a page of a fill.

One transaction does a page: it locks the contacts, takes their marks away, asks the rules, and writes members, the next instants and the events
*Segment Entered* and *Segment Left*. So after a crash either all of it is there or the marks still are, and nobody enters twice. The events are
returned to be routed in the same transaction.

Segments that others ask for go first; who enters or leaves one is asked again for those that ask for it, in the same page, so that no rule is
judged by a membership that is about to change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crm.rules.crowd_facts import Crowd
from crm.segments import members
from journeys.rules import Rule, can_flip, holds, next_flip, parse_rule
from journeys.topics import ENTERED, LEFT, of_segment
from models import Contact, Event, Job, Segment, SegmentFlip, SegmentMark, lock
from storage import segment_marks
from storage.events import append_event
from storage.segment_marks import Known, KnownSegment
from storage.sql import on, table

contacts, flips, marks, segments, jobs = table(Contact), table(SegmentFlip), table(SegmentMark), table(Segment), table(Job)

PAGE = 25
"""Contacts that are asked in one transaction."""
FILLING = "filling"


@dataclass(frozen=True, slots=True)
class Voice:
    """How a change is told: not at all (`silent`), or with an event that so many journeys' own doings led to."""

    silent: bool = False
    hops: int = 0

    def and_(self, other: Voice | None) -> Voice:
        return self if other is None else Voice(self.silent and other.silent, max(self.hops, other.hops))


Asked = dict[int, dict[str, Voice]]
"""Segment id -> contact id -> how a change is told."""


@dataclass(slots=True)
class Done:
    """What a page did: how many contacts were asked, what changed, and the events that are stored and have to be routed."""

    contacts: int = 0
    entered: int = 0
    left: int = 0
    events: list[Event] = field(default_factory=list)


def waiting(session: Session, now: datetime, limit: int = PAGE) -> list[str]:
    """The contacts that have waited longest to be asked: marked, or their instant has come. Read by two indexes, nearly always empty."""
    since = ((marks.c.marked_at, marks.c.contact_id), (flips.c.at, flips.c.contact_id))
    found = [
        (at, id)
        for columns in since
        for at, id in on(session).execute(select(*columns).where(columns[0] <= now).order_by(*columns).limit(limit)).all()
    ]
    return list(dict.fromkeys(id for _, id in sorted(found)))[:limit]


def oldest(session: Session) -> datetime | None:
    """Since when the mark waits that has waited longest; None if there is none."""
    found: datetime | None = on(session).execute(select(marks.c.marked_at).order_by(marks.c.marked_at).limit(1)).scalar()
    return found


def ask_waiting(session: Session, contact_ids: Collection[str], now: datetime) -> Done:
    """Asks these contacts about everything they are marked for, and whose instant has come by `now`. Repeating it changes nothing."""
    ids = list(contact_ids)
    living = _locked(session, ids)
    asked: Asked = defaultdict(dict)
    known = segment_marks.known(session)
    for row in _taken(session, ids, now):
        for segment_id in known.hanging_on({row.topic}):
            asked[segment_id][row.contact_id] = Voice(row.silent, row.hops).and_(asked[segment_id].get(row.contact_id))
    due = delete(flips).where(flips.c.contact_id.in_(ids), flips.c.at <= now)
    for contact_id, segment_id in on(session).execute(due.returning(flips.c.contact_id, flips.c.segment_id)).all():
        asked[segment_id][contact_id] = Voice().and_(asked[segment_id].get(contact_id))
    if dead := set(ids).difference(living):
        members.forget(session, dead, now)
    return ask(session, asked, living, now)


def _taken(session: Session, ids: list[str], now: datetime) -> Sequence[Any]:
    """The marks of contacts. One of which a change is newer than `now` (another process's clock is ahead, or we waited for the lock) is
    asked as well, and stays for that instant."""
    theirs, seen = marks.c.contact_id.in_(ids), marks.c.newest_at <= now
    wanted = (marks.c.contact_id, marks.c.topic, marks.c.silent, marks.c.hops)
    gone = on(session).execute(delete(marks).where(theirs, seen).returning(*wanted)).all()
    stay = update(marks).where(theirs).values(marked_at=marks.c.newest_at)
    return [*gone, *on(session).execute(stay.returning(*wanted)).all()]


def postpone(session: Session, contact_id: str, until: datetime) -> None:
    """A contact that cannot be asked now does not hold up the others: it is asked again at `until`."""
    on(session).execute(update(marks).where(marks.c.contact_id == contact_id).values(marked_at=until, newest_at=until))
    on(session).execute(update(flips).where(flips.c.contact_id == contact_id, flips.c.at < until).values(at=until))


AGAIN = timedelta(minutes=1)
"""After which somebody is asked again who could not be asked."""


def ask_stretch(session: Session, segment_id: int, after_id: str, limit: int, now: datetime, voice: Voice) -> tuple[Done, str | None]:
    """Asks the next `limit` contacts after `after_id` about one segment; returns also the last of them, None at the end."""
    statement = select(contacts.c.id).where(contacts.c.id > after_id).order_by(contacts.c.id).limit(limit)
    ids = list(on(session).execute(statement).scalars())
    living = _locked(session, ids)
    done = ask(session, {segment_id: dict.fromkeys(ids, voice)}, living, now, filled=segment_id)
    return done, ids[-1] if len(ids) == limit else None


def ask(session: Session, asked: Asked, living: Collection[str], now: datetime, filled: int | None = None) -> Done:
    """`living`: those of the contacts, locked, who are somebody; the others leave without a word. `filled`: the segment whose fill this is, in
    which `asked` alone decides what is told; in any other that is being filled, its fill does, whoever comes first."""
    known = segment_marks.known(session)
    page = _Page(session, known, {id: dict(contacts) for id, contacts in asked.items()}, living, now, filled)
    for segment in sorted(known.by_id.values(), key=lambda one: (one.rank, one.id)):
        if segment.rule is not None and page.asked.get(segment.id):
            page.ask(segment)
    if dead := {id for contacts in asked.values() for id in contacts}.difference(living):
        members.forget(session, dead, now)
    page.done.contacts = len({id for contacts in asked.values() for id in contacts})
    return page.done


class _Page:
    def __init__(self, session: Session, known: Known, asked: Asked, living: Collection[str], now: datetime, filled: int | None) -> None:
        self.session, self.known, self.asked, self.now, self.filled = session, known, asked, now, filled
        self.living = frozenset(living)
        self.crowd = Crowd(session, sorted(living), now)
        self.done = Done()

    def ask(self, segment: KnownSegment) -> None:
        rule, voices = rule_of(segment), self.asked[segment.id]
        ids = sorted(self.living.intersection(voices))
        entering, leaving = list[str](), list[str]()
        for id in ids:
            is_in, was_in = holds(rule, self.crowd.facts(id), self.now), (id, segment.key) in self.crowd.segments
            if is_in is not was_in:
                (entering if is_in else leaving).append(id)
        if can_flip(rule) or segment.state == FILLING:
            coming = {id: at for id in ids if (at := next_flip(rule, self.crowd.facts(id), self.now)) is not None}
            members.plan(self.session, segment.id, ids, coming)
        members.add(self.session, segment.id, entering, self.now)
        members.remove(self.session, segment.id, leaving, self.now)
        self.crowd.segments.update((id, segment.key) for id in entering)
        self.crowd.segments.difference_update((id, segment.key) for id in leaving)
        self.done.entered += len(entering)
        self.done.left += len(leaving)
        self._tell(segment, ENTERED, entering)
        self._tell(segment, LEFT, leaving)

    def _tell(self, segment: KnownSegment, name: str, ids: Collection[str]) -> None:
        """Asks again in those segments that ask for this one, and writes the events."""
        is_filling = segment.state == FILLING and segment.id != self.filled
        is_closed = is_filling and bool(ids) and not _announces(self.session, segment.id)
        for id in ids:
            asked = self.asked[segment.id][id]
            voice = Voice(is_closed if is_filling else asked.silent, asked.hops)
            for other in self.known.by_topic.get(of_segment(segment.key), ()):
                theirs = self.asked.setdefault(other, {})
                theirs[id] = voice.and_(theirs.get(id))
            if not voice.silent:
                self.done.events.append(tell(self.session, segment, name, id, self.now, voice.hops))


def _announces(session: Session, segment_id: int) -> bool:
    """Whether the fill of a segment tells of its members."""
    job = select(jobs.c.input).join_from(segments, jobs, jobs.c.id == segments.c.fill_job).where(segments.c.id == segment_id)
    found = on(session).execute(job).scalar()
    return bool(found and found["announce"])


def tell(session: Session, segment: KnownSegment, name: str, contact_id: str, now: datetime, hops: int = 0) -> Event:
    """The event that somebody has entered or left, stored and not yet routed."""
    said = {"segment": segment.key, "name": segment.name}
    return append_event(session, contact_id, "system", name, said, now, hops=hops, routed=True)


def rule_of(segment: KnownSegment) -> Rule:
    """The rule of a live segment; read once a process."""
    return _rule(orjson.dumps(segment.rule, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=1024)
def _rule(text: bytes) -> Rule:
    return parse_rule(orjson.loads(text))


def _locked(session: Session, contact_ids: Collection[str]) -> Mapping[str, None]:
    """Those who are somebody, locked in the order of their ids."""
    statement = select(contacts.c.id, contacts.c.merged_into, contacts.c.erased_at).where(contacts.c.id.in_(list(contact_ids)))
    rows = on(session).execute(lock(session, statement.order_by(contacts.c.id))).all()
    return {row.id: None for row in rows if row.merged_into is None and row.erased_at is None}
