"""What rules have given contacts so far, as rows; and how it goes from one contact to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from crm.people.scores import change_score
from models import Event, ScoreBooked, ScoreFlip, ScoreReached
from storage import segment_marks
from storage.sql import insert_new, on, table, upsert

booked, reached, flips = table(ScoreBooked), table(ScoreReached), table(ScoreFlip)


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Contacts that are nobody any more wait for nothing, and have reached nothing."""
    ids = list(contact_ids)
    for rows in (flips, reached):
        on(session).execute(delete(rows).where(rows.c.contact_id.in_(ids)))


def hand_over(session: Session, winner_id: str, loser_id: str) -> dict[str, list[list[Any]]]:
    """What rules gave the loser of a merge counts as given to the winner: events and history move, too, and what is too much is taken back when the
    winner is scored again. What thresholds did for the loser they did for the winner. Returns the loser's rows, so that `hand_back` can undo it."""
    mine = booked.c.contact_id == loser_id
    columns = (booked.c.model_id, booked.c.rule, booked.c.score_group, booked.c.points)
    rows = [list(row) for row in on(session).execute(select(*columns).where(mine).order_by(*columns[:3])).all()]
    on(session).execute(delete(booked).where(mine))
    _add(session, winner_id, rows, 1)
    mine, since = reached.c.contact_id == loser_id, reached.c.since
    over = on(session).execute(select(reached.c.model_id, reached.c.threshold, since).where(mine).order_by(since)).all()
    were = [[model, threshold, at.isoformat()] for model, threshold, at in over]
    _reach(session, winner_id, were)
    forget(session, [loser_id])
    return {"booked": rows, "reached": were}


def hand_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any], now: datetime) -> list[Event]:
    """Undoes `hand_over`; both are scored again after it. What a model gave that is off or deleted since was taken back from the winner, the loser's
    share, too: so the loser gives that share to the winner. Returns the events of it."""
    rows = kept.get("booked", ())
    giving = segment_marks.known(session).models
    given = [row for row in rows if row[0] in giving]
    _add(session, winner_id, given, -1)
    _add(session, loser_id, given, 1)
    _reach(session, loser_id, [row for row in kept.get("reached", ()) if row[0] in giving])
    taken: dict[str, float] = {}
    for _, _, group, points in (row for row in rows if row[0] not in giving):
        taken[group] = taken.get(group, 0.0) + points
    moves = [(id, group, points) for group, points in sorted(taken.items()) for id, points in ((winner_id, points), (loser_id, -points))]
    events = [change_score(session, *move, False, "", now, source="unmerge", why="changed") for move in moves]
    return [event for event in events if event is not None]


def _reach(session: Session, contact_id: str, rows: Iterable[Sequence[Any]]) -> None:
    """Thresholds that have acted for somebody, until scoring finds that they are not reached."""
    new = [
        {"contact_id": contact_id, "model_id": model, "threshold": threshold, "since": datetime.fromisoformat(since)}
        for model, threshold, since in rows
    ]
    if new:
        on(session).execute(insert_new(session, ScoreReached, ("contact_id", "model_id", "threshold")), new)


def _add(session: Session, contact_id: str, rows: Iterable[Sequence[Any]], sign: int) -> None:
    given = [
        {"contact_id": contact_id, "model_id": model, "rule": rule, "score_group": group, "points": sign * points}
        for model, rule, group, points in rows
    ]
    put(session, given)


def put(session: Session, given: Sequence[Mapping[str, Any]]) -> None:
    """Adds points to what is booked."""
    if not given:
        return
    statement = upsert(session, ScoreBooked)
    added = {"points": booked.c.points + statement.excluded.points}
    keys = ["contact_id", "model_id", "rule", "score_group"]
    on(session).execute(statement.on_conflict_do_update(index_elements=keys, set_=added), list(given))


def count_of(session: Session, model_id: int) -> int:
    """How many contacts have points of a model."""
    found = select(func.count(booked.c.contact_id.distinct())).where(booked.c.model_id == model_id)
    return int(on(session).execute(found).scalar_one())
