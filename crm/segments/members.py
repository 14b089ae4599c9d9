"""Rows of membership. Whoever adds or removes them does it here, so that the counts by day always agree with the rows.

How many members a segment has is what all its days add up to: a few hundred rows, however many members.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models import Segment, SegmentDay, SegmentFlip, SegmentMember
from storage import segment_marks
from storage.sql import insert_new, on, table, upsert
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
    """Undoes `hand_over`; lists that were deleted since are left out."""
    lost, given = kept.get("lost", ()), kept.get("given", ())
    there = select(segments.c.id).where(segments.c.id.in_([*lost]), segments.c.state != segment_marks.EMPTYING)
    for id in sorted(on(session).execute(there).scalars()):
        add(session, id, [loser_id], now)
        if id in given:
            remove(session, id, [winner_id], now)


def plan(session: Session, segment_id: int, asked: Iterable[str], coming: Mapping[str, datetime]) -> None:
    """Writes when each of `coming` has to be asked again; of the others of `asked` nothing is planned."""
    on(session).execute(delete(flips).where(flips.c.contact_id.in_(list(asked)), flips.c.segment_id == segment_id))
    rows = [{"contact_id": id, "segment_id": segment_id, "at": at} for id, at in sorted(coming.items())]
    if rows:
        on(session).execute(flips.insert(), rows)


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
    if not entered and not left:
        return
    statement = upsert(session, SegmentDay).values(segment_id=segment_id, day=day_of(now), entered=entered, left=left)
    new = statement.excluded
    added = {"entered": days.c.entered + new.entered, "left": days.c.left + new.left}
    on(session).execute(statement.on_conflict_do_update(index_elements=["segment_id", "day"], set_=added))
