"""What rules have given contacts so far, as rows; and how it goes from one contact to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models import ScoreBooked, ScoreFlip, ScoreModel, ScoreReached
from storage.sql import on, table, upsert

booked, reached, flips = table(ScoreBooked), table(ScoreReached), table(ScoreFlip)


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Contacts that are nobody any more wait for nothing, and have reached nothing."""
    ids = list(contact_ids)
    for rows in (flips, reached):
        on(session).execute(delete(rows).where(rows.c.contact_id.in_(ids)))


def hand_over(session: Session, winner_id: str, loser_id: str) -> list[list[Any]]:
    """What rules gave the loser of a merge counts as given to the winner: events and history move, too, and what is too much is taken back when the
    winner is scored again. Returns the loser's rows, so that `hand_back` can undo it."""
    mine = booked.c.contact_id == loser_id
    columns = (booked.c.model_id, booked.c.rule, booked.c.score_group, booked.c.points)
    rows = [list(row) for row in on(session).execute(select(*columns).where(mine).order_by(*columns[:3])).all()]
    on(session).execute(delete(booked).where(mine))
    _add(session, winner_id, rows, 1)
    forget(session, [loser_id])
    return rows


def hand_back(session: Session, winner_id: str, loser_id: str, kept: Sequence[Sequence[Any]]) -> None:
    """Undoes `hand_over`; of models that are gone since there is nothing to take back."""
    if not kept:
        return
    there = _models(session, {row[0] for row in kept})
    rows = [row for row in kept if row[0] in there]
    _add(session, winner_id, rows, -1)
    _add(session, loser_id, rows, 1)


def _models(session: Session, ids: set[int]) -> set[int]:
    return set(on(session).execute(select(table(ScoreModel).c.id).where(table(ScoreModel).c.id.in_(ids))).scalars())


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
