"""Reports of providers, each in one transaction with what it sets off. One that overtakes the answer to its send is kept for an hour, and taken
once the answer is written: not every provider calls again when it is told to."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.happenings import Recorded, Route, Streak, find, record
from activities.providers.callback import Happening
from activities.tracking import Level
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from models import EarlyReport
from storage.sql import upsert

KEPT_FOR = timedelta(hours=1)
MOST = 10_000
"""Reports that wait; the provider shall call again about further ones."""
PAGE = 200


def take(
    engine: Engine, route: Route, account: str, happening: Happening, streak: Streak, most: Level = "full"
) -> tuple[Recorded, Wakeups]:
    """`too_early` where the provider must call again, because too many wait already."""
    with engine.db.write() as session:
        return take_in(engine, route, session, account, happening, streak, most)


def take_in(
    engine: Engine, route: Route, session: Session, account: str, happening: Happening, streak: Streak, most: Level = "full"
) -> tuple[Recorded, Wakeups]:
    """As `take`, inside the caller's transaction."""
    now = engine.clock.now()
    recorded, wakeups = _taken(engine, route, session, account, happening, streak, most)
    if recorded != "too_early" or _are_too_many(session):
        return recorded, wakeups
    row = EarlyReport(
        account=account,
        message_id=happening.message_id[:32],
        provider_id=happening.provider_id[:200],
        kind=happening.kind,
        at=happening.at or now,
        code=happening.code[:64],
        received_at=now,
        tried_at=now,
    )
    session.execute(upsert(session, EarlyReport).on_conflict_do_nothing(), row.model_dump(exclude={"id"}))
    return "kept", wakeups


def _are_too_many(session: Session) -> bool:
    return session.scalar(select(func.count()).select_from(select(EarlyReport.id).limit(MOST).subquery())) == MOST


def settle(engine: Engine, route: Route, streak: Streak, most: Level = "full") -> Wakeups:
    """A duty of the keeper: takes those whose message is known by now, and drops those that have waited long enough."""
    now = engine.clock.now()
    with engine.db.read() as session:
        rows = session.scalars(select(EarlyReport).order_by(col(EarlyReport.tried_at)).limit(PAGE)).all()
        ready = [row for row in rows if _is_ready(session, row)]
    wakeups = Wakeups()
    for row in ready:
        with engine.db.write() as session:
            recorded, more = _taken(engine, route, session, row.account, _happening(row), streak, most)
            if recorded != "too_early":
                session.execute(delete(EarlyReport).where(col(EarlyReport.id) == row.id))
        wakeups.add(more)
    if rows:
        with engine.db.write() as session:
            session.execute(update(EarlyReport).where(col(EarlyReport.id).in_([row.id for row in rows])).values(tried_at=now))
            session.execute(delete(EarlyReport).where(col(EarlyReport.received_at) < now - KEPT_FOR))
    return wakeups


def _taken(
    engine: Engine, route: Route, session: Session, account: str, happening: Happening, streak: Streak, most: Level
) -> tuple[Recorded, Wakeups]:
    now = engine.clock.now()
    recorded, events, woken = record(session, engine.address_keys, account, happening, streak, now, most)
    wakeups = route(session, events, now)
    for run_id in woken:
        wakeups.wake(run_id)
    return recorded, wakeups


def _is_ready(session: Session, row: EarlyReport) -> bool:
    message = find(session, row.account, _happening(row))
    return message is not None and message.status != "claimed"


def _happening(row: EarlyReport) -> Happening:
    return Happening(row.kind, row.at, row.provider_id, row.message_id, row.code)  # type: ignore[arg-type]
