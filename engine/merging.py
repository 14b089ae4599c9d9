"""Merging and parting contacts as people ask for it: audited, and what it sets off reaches the runs. What moves is `crm.people.merge`'s."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from crm.people import duplicates
from crm.people.merge import merge
from crm.people.unmerge import Parted, newest, unmerge
from engine.engine import Engine
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict
from workspace.audit import record


def merge_pair(engine: Engine, session: Session, pair_id: int, winner_id: str, by: str, now: datetime) -> Wakeups:
    """Makes one contact of a suggested pair; `winner_id` stays.

    Raises:
        NotFound: no such pair.
        Conflict: the pair was decided already, or `winner_id` is not one of the two; and as `crm.people.merge.merge`.
    """
    pair = duplicates.get(session, pair_id)
    if pair.state != "open":
        raise Conflict("Someone has already decided about this pair.")
    if winner_id not in (pair.one_id, pair.other_id):
        raise Conflict("The contact that stays must be one of the two.")
    loser_id = pair.other_id if winner_id == pair.one_id else pair.one_id
    done = merge(session, winner_id, loser_id, now, reason="manual")
    record(session, by, "contact.merge", f"contact:{winner_id}", {"other": loser_id})
    wakeups = routed(engine, session, done.events, now)
    wakeups.add(Wakeups(runs=set(done.to_wake)))
    return wakeups


def part(engine: Engine, session: Session, merge_id: int, by: str, now: datetime) -> tuple[Parted, Wakeups]:
    """Undoes a merge. Raises: as `crm.people.unmerge.unmerge`."""
    done = unmerge(session, merge_id, by, now)
    wakeups = routed(engine, session, done.events, now)
    wakeups.add(Wakeups(runs=set(done.to_wake)))
    return done, wakeups


__all__ = ["Parted", "merge_pair", "newest", "part"]
