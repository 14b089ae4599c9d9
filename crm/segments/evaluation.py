"""Asks contacts again whether they are in segments, and scores them anew: those that are marked, those whose instant has come, or a page of a fill.

One transaction does a page: it locks the contacts, takes their marks away, asks the rules, and writes members, points, the next instants and the
events *Segment Entered*, *Segment Left*, *Score Changed* and *Score Threshold Reached*. So after a crash either all of it is there or the marks still
are, and nobody enters twice. The events are returned to be routed in the same transaction.

Segments and scores that others ask for go first; who enters or leaves one, or whose score changes, is asked again for those that ask for it, in the
same page, so that no rule is judged by a membership or a score that is about to change.
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
from crm.scoring import booked, booking
from crm.scoring.actions import Start
from crm.segments import members
from journeys.rules import Rule, can_flip, holds, next_flip, parse_rule
from journeys.topics import ENTERED, LEFT, of_segment
from models import Contact, Event, Job, ScoreFlip, Segment, SegmentFlip, SegmentMark, lock, new_id
from storage import segment_marks
from storage.events import event_row, insert_events
from storage.segment_marks import Known, KnownModel, KnownSegment
from storage.sql import on, table

contacts, flips, marks, segments, jobs = table(Contact), table(SegmentFlip), table(SegmentMark), table(Segment), table(Job)
score_flips = table(ScoreFlip)

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
"""Id of a segment, or of a scoring model -> contact id -> how a change is told."""


@dataclass(slots=True)
class Done:
    """What a page did: how many contacts were asked, what changed, and the events that are stored and have to be routed; then what thresholds of
    scoring models ask for (`booking.Scored`)."""

    contacts: int = 0
    entered: int = 0
    left: int = 0
    booked: int = 0
    crossed: int = 0
    events: list[Event] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    reached: list[tuple[str, str, str]] = field(default_factory=list)


def waiting(session: Session, now: datetime, limit: int = PAGE) -> list[str]:
    """The contacts that have waited longest to be asked: marked, or their instant has come. Read by three indexes, nearly always empty."""
    since = (
        (marks.c.marked_at, marks.c.contact_id),
        (flips.c.at, flips.c.contact_id),
        (score_flips.c.at, score_flips.c.contact_id),
    )
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
    living = locked(session, ids)
    asked: Asked = defaultdict(dict)
    scored: Asked = defaultdict(dict)
    known = segment_marks.known(session)
    for row in _taken(session, ids, now):
        for wanted, concerned in ((asked, known.hanging_on({row.topic})), (scored, known.scored_on({row.topic}))):
            for id in concerned:
                wanted[id][row.contact_id] = Voice(row.silent, row.hops).and_(wanted[id].get(row.contact_id))
    for wanted, rows, of in ((asked, flips, flips.c.segment_id), (scored, score_flips, score_flips.c.model_id)):
        due = delete(rows).where(rows.c.contact_id.in_(ids), rows.c.at <= now)
        for contact_id, id in on(session).execute(due.returning(rows.c.contact_id, of)).all():
            wanted[id][contact_id] = Voice().and_(wanted[id].get(contact_id))
    if dead := set(ids).difference(living):
        _forget(session, dead, now)
    return ask(session, asked, living, now, scored=scored)


def _forget(session: Session, contact_ids: Collection[str], now: datetime) -> None:
    members.forget(session, contact_ids, now)
    booked.forget(session, contact_ids)


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
    for rows in (flips, score_flips):
        on(session).execute(update(rows).where(rows.c.contact_id == contact_id, rows.c.at < until).values(at=until))


AGAIN = timedelta(minutes=1)
"""After which somebody is asked again who could not be asked."""


def score_stretch(session: Session, model_id: int, after_id: str, limit: int, now: datetime, voice: Voice) -> tuple[Done, str | None]:
    """Scores the next `limit` contacts after `after_id` by one model; returns also the last of them, None at the end."""
    ids, last = stretch(session, after_id, limit)
    living = locked(session, ids)
    return ask(session, {}, living, now, scored={model_id: dict.fromkeys(living, voice)}, why="changed"), last


def stretch(session: Session, after_id: str, limit: int) -> tuple[list[str], str | None]:
    """The ids of the next contacts, and the last of them, None at the end."""
    statement = select(contacts.c.id).where(contacts.c.id > after_id).order_by(contacts.c.id).limit(limit)
    ids = list(on(session).execute(statement).scalars())
    return ids, ids[-1] if len(ids) == limit else None


def ask(
    session: Session,
    asked: Asked,
    living: Collection[str],
    now: datetime,
    filled: int | None = None,
    *,
    scored: Asked | None = None,
    why: str = "",
) -> Done:
    """`living`: those of the contacts, locked, who are somebody; the others leave without a word. `filled`: the segment whose fill this is, in
    which `asked` alone decides what is told; in any other that is being filled, its fill does, whoever comes first. `scored`: who is scored anew by
    which model; `why` is as in `booking.book`."""
    known, scored = segment_marks.known(session), scored or {}
    page = _Page(session, known, _copied(asked), _copied(scored), living, now, filled, why)
    everything: list[KnownSegment | KnownModel] = [*known.by_id.values(), *known.models.values()]
    for one in sorted(everything, key=lambda one: (one.rank, isinstance(one, KnownModel), one.id)):
        if isinstance(one, KnownModel):
            if page.scored.get(one.id):
                page.score(one)
        elif one.rule is not None and page.asked.get(one.id):
            page.ask(one)
    page.write()
    everybody = {id for wanted in (asked, scored) for contacts in wanted.values() for id in contacts}
    if dead := everybody.difference(living):
        _forget(session, dead, now)
    page.done.contacts = len(everybody)
    return page.done


def _copied(asked: Asked) -> Asked:
    return {id: dict(contacts) for id, contacts in asked.items()}


class _Page:
    """Asks first and writes at the end, all segments together: a statement for each kind of row, not for each segment."""

    def __init__(
        self,
        session: Session,
        known: Known,
        asked: Asked,
        scored: Asked,
        living: Collection[str],
        now: datetime,
        filled: int | None,
        why: str,
    ) -> None:
        self.session, self.known, self.asked, self.scored = session, known, asked, scored
        self.now, self.filled, self.why = now, filled, why
        self.living = frozenset(living)
        self.crowd = Crowd(session, sorted(living), now, _memberships(known, asked))
        self.done = Done()
        self.moves = members.Moves()
        self.told: list[tuple[KnownSegment, str, str, int]] = []
        """(segment, what happened, contact, hops) in the order in which it is told."""

    def ask(self, segment: KnownSegment) -> None:
        rule, voices = rule_of(segment), self.asked[segment.id]
        ids = sorted(self.living.intersection(voices))
        entering, leaving = list[str](), list[str]()
        for id in ids:
            is_in, was_in = holds(rule, self.crowd.facts(id), self.now), (id, segment.key) in self.crowd.segments
            if is_in is not was_in:
                (entering if is_in else leaving).append(id)
        if can_flip(rule) or segment.state == FILLING:
            coming = {(id, segment.id): at for id in ids if (at := next_flip(rule, self.crowd.facts(id), self.now)) is not None}
            self.moves.planned.update((id, segment.id) for id in ids)
            self.moves.coming.update(coming)
        self.moves.entered += ((segment.id, id) for id in entering)
        self.moves.left += ((segment.id, id) for id in leaving)
        self.crowd.segments.update((id, segment.key) for id in entering)
        self.crowd.segments.difference_update((id, segment.key) for id in leaving)
        self._tell(segment, ENTERED, entering)
        self._tell(segment, LEFT, leaving)

    def write(self) -> None:
        """What has been found so far."""
        members.move(self.session, self.moves, self.now)
        self.done.entered += len(self.moves.entered)
        self.done.left += len(self.moves.left)
        rows = [row_of(segment, name, id, self.now, hops) for segment, name, id, hops in self.told]
        self.done.events += [Event(id=id, **row) for id, row in zip(insert_events(self.session, rows), rows, strict=True)]
        self.moves, self.told = members.Moves(), []

    def _tell(self, segment: KnownSegment, name: str, ids: Collection[str]) -> None:
        """Asks again in those segments that ask for this one, and notes who is told of it."""
        is_filling = segment.state == FILLING and segment.id != self.filled
        is_closed = is_filling and bool(ids) and not _announces(self.session, segment.id)
        for id in ids:
            asked = self.asked[segment.id][id]
            voice = Voice(is_closed if is_filling else asked.silent, asked.hops)
            self._pass_on(id, of_segment(segment.key), voice)
            if not voice.silent:
                self.told.append((segment, name, id, voice.hops))

    def _pass_on(self, id: str, topic: str, voice: Voice) -> None:
        """Who asks for what has just changed asks again; those are still to come in this page."""
        for wanted, concerned in ((self.asked, self.known.by_topic), (self.scored, self.known.models_by_topic)):
            for other in concerned.get(topic, ()):
                theirs = wanted.setdefault(other, {})
                theirs[id] = voice.and_(theirs.get(id))

    def score(self, model: KnownModel) -> None:
        """Books what is due; while a model scores everybody, what its job does decides what is told."""
        self.write()  # events in the order in which one led to the other
        voices = {id: voice for id, voice in self.scored[model.id].items() if id in self.living}
        told = {id: voice.hops for id, voice in voices.items() if model.is_open and not voice.silent}
        found = booking.book(self.session, model, sorted(voices), self.crowd, self.now, told, self.why)
        for id, topic in sorted(found.changed):
            self._pass_on(id, topic, Voice(id not in told, voices[id].hops))
            if id not in told:  # no event marks it
                segment_marks.mark(self.session, [id], (topic,), self.now, silent=True)
        self.done.booked += found.rows
        self.done.crossed += found.crossed
        self.done.events += found.events
        self.done.starts += found.starts
        self.done.reached += found.reached


def _memberships(known: Known, asked: Collection[int]) -> set[int] | None:
    """The segments whose members a page asks for: its own, those that ask for them, and all whom these ask for. None: nearly all, or
    nobody knows, since scoring models may ask for any."""
    if known.models or len(asked) > len(known.by_id) / 2:
        return None
    own = list(asked)
    for id in own:  # it grows
        own += (other for other in known.by_topic.get(of_segment(known.by_id[id].key), ()) if other not in own) if id in known.by_id else ()
    asked_for = {topic for id in own if id in known.by_id for topic in known.by_id[id].topics}
    return {*own, *(one.id for one in known.by_id.values() if of_segment(one.key) in asked_for)}


def _announces(session: Session, segment_id: int) -> bool:
    """Whether the fill of a segment tells of its members."""
    job = select(jobs.c.input).join_from(segments, jobs, jobs.c.id == segments.c.fill_job).where(segments.c.id == segment_id)
    found = on(session).execute(job).scalar()
    return bool(found and found["announce"])


def row_of(segment: KnownSegment, name: str, contact_id: str, now: datetime, hops: int = 0) -> dict[str, Any]:
    """The event that somebody has entered or left, to be stored and then routed."""
    said = {"segment": segment.key, "name": segment.name}
    row = event_row("system", name, said, received_at=now, source="system", message_id=new_id(), hops=hops, routed=True)
    return {**row, "contact_id": contact_id}


def tell(session: Session, segment: KnownSegment, name: str, contact_id: str, now: datetime) -> Event:
    """That event, stored and not yet routed."""
    row = row_of(segment, name, contact_id, now)
    return Event(id=insert_events(session, [row])[0], **row)


def rule_of(segment: KnownSegment) -> Rule:
    """The rule of a live segment; read once a process."""
    return _rule(orjson.dumps(segment.rule, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=1024)
def _rule(text: bytes) -> Rule:
    return parse_rule(orjson.loads(text))


def locked(session: Session, contact_ids: Collection[str]) -> Mapping[str, None]:
    """Those who are somebody, locked in the order of their ids."""
    statement = select(contacts.c.id, contacts.c.merged_into, contacts.c.erased_at).where(contacts.c.id.in_(list(contact_ids)))
    rows = on(session).execute(lock(session, statement.order_by(contacts.c.id))).all()
    return {row.id: None for row in rows if row.merged_into is None and row.erased_at is None}
