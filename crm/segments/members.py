"""Rows of membership. Whoever adds or removes them does it here, so that the counts by day always agree with the rows.

How many members a segment has is what all its days add up to: a few hundred rows, however many members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, literal, not_, or_, select
from sqlalchemy.orm import Session

from crm.rules.answers import contacts
from models import Segment, SegmentDay, SegmentFlip, SegmentMember
from storage import segment_marks
from storage.sql import changed_rows, insert_new, on, table, upsert
from storage.tally import day_of

members, days, flips, segments = table(SegmentMember), table(SegmentDay), table(SegmentFlip), table(Segment)


@dataclass(frozen=True, slots=True)
class Day:
    """What a day (UTC) changed, and how many members there were at its end."""

    day: date
    entered: int
    left: int
    members: int


@dataclass(frozen=True, slots=True)
class Membership:
    """A segment that a contact is in."""

    key: str
    name: str
    kind: str
    since: datetime


def add(session: Session, segment_id: int, contact_ids: Collection[str], now: datetime, since: datetime | None = None) -> list[str]:
    """Makes contacts members; returns those who were none. The caller holds their locks."""
    if not contact_ids:
        return []
    statement = insert_new(session, SegmentMember, ("segment_id", "contact_id"), returning=("contact_id",))
    rows = [{"segment_id": segment_id, "contact_id": id, "since": since or now} for id in sorted(contact_ids)]
    new = list(on(session).execute(statement, rows).scalars())
    _count(session, segment_id, now, len(new), 0)
    return new


def remove(session: Session, segment_id: int, contact_ids: Collection[str], now: datetime) -> list[str]:
    """Ends memberships; returns whose there were."""
    if not contact_ids:
        return []
    theirs = (members.c.segment_id == segment_id, members.c.contact_id.in_(list(contact_ids)))
    gone = list(on(session).execute(delete(members).where(*theirs).returning(members.c.contact_id)).scalars())
    _count(session, segment_id, now, 0, len(gone))
    return gone


def forget(session: Session, contact_ids: Collection[str], now: datetime) -> None:
    """Contacts that are nobody any more (merged into another, or erased) are in no segment; nobody is told."""
    ids = list(contact_ids)
    gone = on(session).execute(delete(members).where(members.c.contact_id.in_(ids)).returning(members.c.segment_id)).scalars().all()
    for segment_id in sorted(set(gone)):
        _count(session, segment_id, now, 0, gone.count(segment_id))
    on(session).execute(delete(flips).where(flips.c.contact_id.in_(ids)))
    segment_marks.forget(session, ids)


def hand_over(session: Session, winner_id: str, loser_id: str, now: datetime) -> dict[str, list[int]]:
    """Lists kept by hand go from the loser of a merge to the winner. Returns the ids of the lists that the loser was on (`lost`), and of
    those that the winner had not been on (`given`), so that `hand_back` can undo it."""
    theirs = select(members.c.segment_id, members.c.since).join(segments, segments.c.id == members.c.segment_id)
    lists = on(session).execute(theirs.where(members.c.contact_id == loser_id, segments.c.kind == "static")).all()
    given = [id for id, since in lists if add(session, id, [winner_id], now, since)]
    forget(session, [loser_id], now)
    return {"lost": sorted(id for id, _ in lists), "given": sorted(given)}


def hand_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Sequence[int]], now: datetime) -> None:
    """Undoes `hand_over`; lists that have gone for good since are left out."""
    lost, given = kept.get("lost", ()), kept.get("given", ())
    comes_back = or_(segments.c.state != segment_marks.EMPTYING, segments.c.deleted_at.is_not(None))
    there = select(segments.c.id).where(segments.c.id.in_([*lost]), comes_back)
    for id in sorted(on(session).execute(there).scalars()):
        add(session, id, [loser_id], now)
        if id in given:
            remove(session, id, [winner_id], now)


@dataclass(slots=True)
class Moves:
    """What a page changes. `entered` and `left`: (segment, contact) of those who were not in it before, and who were. `planned`: (contact, segment)
    whose next instant was asked for; those that have one are in `coming`."""

    entered: list[tuple[int, str]] = field(default_factory=list)
    left: list[tuple[int, str]] = field(default_factory=list)
    planned: set[tuple[str, int]] = field(default_factory=set)
    coming: dict[tuple[str, int], datetime] = field(default_factory=dict)


def move(session: Session, moves: Moves, now: datetime) -> None:
    """Writes them, a statement for each kind of row. The caller holds the locks of the contacts, and has asked who was in what."""
    if moves.entered:
        rows = [{"segment_id": segment_id, "contact_id": id, "since": now} for segment_id, id in sorted(moves.entered)]
        on(session).execute(_add, rows)
    if moves.left:
        on(session).execute(_remove, [{"segment": segment_id, "contact": id} for segment_id, id in sorted(moves.left)])
    _plan(session, moves)
    entered, left = Counter(id for id, _ in moves.entered), Counter(id for id, _ in moves.left)
    _count_all(session, now, {id: (entered[id], left[id]) for id in {*entered, *left}})


def set_by(session: Session, segment_id: int, contact_ids: Collection[str], is_in: ColumnElement[bool], now: datetime) -> tuple[int, int]:
    """Makes those of `contact_ids`, all living, members for whom `is_in` (over contacts) is true, and ends the memberships of the others, silently.
    Returns how many entered and left. The caller holds their locks."""
    theirs = contacts.c.id.in_(contact_ids)
    rows = select(literal(segment_id), contacts.c.id, literal(now, members.c.since.type))
    there = exists().where(members.c.segment_id == segment_id, members.c.contact_id == contacts.c.id)
    new = members.insert().from_select(["segment_id", "contact_id", "since"], rows.where(theirs, not_(there), is_in))
    own = (members.c.segment_id == segment_id, members.c.contact_id.in_(contact_ids))
    old = delete(members).where(*own, members.c.contact_id.not_in(select(contacts.c.id).where(theirs, is_in)))
    entered, left = len(on(session).execute(new.returning(members.c.contact_id)).all()), changed_rows(session, old)
    _count(session, segment_id, now, entered, left)
    return entered, left


def _plan(session: Session, moves: Moves) -> None:
    """Only what differs is written: most events leave most instants where they were."""
    if not moves.planned:
        return
    contact_ids, segment_ids = {id for id, _ in moves.planned}, {id for _, id in moves.planned}
    theirs = _flips.where(flips.c.contact_id.in_(contact_ids), flips.c.segment_id.in_(segment_ids))
    there = {(contact_id, segment_id): at for contact_id, segment_id, at in on(session).execute(theirs)}
    gone = sorted(pair for pair in moves.planned if pair in there and pair not in moves.coming)
    if gone:
        on(session).execute(_unplan, [{"contact": contact_id, "segment": segment_id} for contact_id, segment_id in gone])
    new = sorted((pair, at) for pair, at in moves.coming.items() if there.get(pair) != at)
    if new:
        statement = upsert(session, SegmentFlip)
        statement = statement.on_conflict_do_update(index_elements=["contact_id", "segment_id"], set_={"at": statement.excluded.at})
        on(session).execute(statement, [{"contact_id": id, "segment_id": segment_id, "at": at} for (id, segment_id), at in new])


_add = members.insert()
_remove = delete(members).where(members.c.segment_id == bindparam("segment"), members.c.contact_id == bindparam("contact"))
_flips = select(flips.c.contact_id, flips.c.segment_id, flips.c.at)
_unplan = delete(flips).where(flips.c.contact_id == bindparam("contact"), flips.c.segment_id == bindparam("segment"))


def counts(session: Session, segment_ids: Collection[int] | None = None) -> dict[int, int]:
    """Segment id -> how many members; those without any may be missing. None: of all."""
    wanted = select(days.c.segment_id, func.sum(days.c.entered) - func.sum(days.c.left)).group_by(days.c.segment_id)
    if segment_ids is not None:
        wanted = wanted.where(days.c.segment_id.in_(list(segment_ids)))
    return {id: int(number) for id, number in on(session).execute(wanted)}


def count(session: Session, segment_id: int) -> int:
    return counts(session, [segment_id]).get(segment_id, 0)


def growth(session: Session, segment_id: int, since: date) -> list[Day]:
    """The days from `since` on, in order; one on which nothing changed is missing."""
    rows = on(session).execute(select(days.c.day, days.c.entered, days.c.left).where(days.c.segment_id == segment_id).order_by(days.c.day))
    found, there = list[Day](), 0
    for day, entered, left in rows:
        there += entered - left
        if day >= since:
            found.append(Day(day, entered, left, there))
    return found


def page(session: Session, segment_id: int, after_id: str = "", limit: int = 50) -> list[tuple[str, datetime]]:
    """(contact id, since) of the next members after `after_id`, in the order of ids."""
    wanted = select(members.c.contact_id, members.c.since).where(members.c.segment_id == segment_id, members.c.contact_id > after_id)
    return [(id, since) for id, since in on(session).execute(wanted.order_by(members.c.contact_id).limit(limit))]


def of_contact(session: Session, contact_id: str) -> list[Membership]:
    """The segments that a contact is in, by name."""
    wanted = select(segments.c.key, segments.c.name, segments.c.kind, members.c.since).join_from(
        members, segments, segments.c.id == members.c.segment_id
    )
    theirs = wanted.where(members.c.contact_id == contact_id, segments.c.state != segment_marks.EMPTYING)
    return [Membership(*row) for row in on(session).execute(theirs.order_by(segments.c.name, segments.c.key))]


def overlap(session: Session, one_id: int, other_id: int) -> int:
    """How many are in both."""
    one, other = members.alias(), members.alias()
    both = select(func.count()).select_from(one).join(other, (other.c.segment_id == other_id) & (other.c.contact_id == one.c.contact_id))
    return int(on(session).execute(both.where(one.c.segment_id == one_id)).scalar_one())


def _count(session: Session, segment_id: int, now: datetime, entered: int, left: int) -> None:
    if entered or left:
        _count_all(session, now, {segment_id: (entered, left)})


def _count_all(session: Session, now: datetime, moved: Mapping[int, tuple[int, int]]) -> None:
    """Segment id -> (entered, left). In the order of ids, so that two transactions never wait for each other."""
    statement = upsert(session, SegmentDay)
    new = statement.excluded
    added = {"entered": days.c.entered + new.entered, "left": days.c.left + new.left}
    statement = statement.on_conflict_do_update(index_elements=["segment_id", "day"], set_=added)
    day = day_of(now)
    rows = [{"segment_id": id, "day": day, "entered": entered, "left": left} for id, (entered, left) in sorted(moved.items())]
    if rows:
        on(session).execute(statement, rows)
