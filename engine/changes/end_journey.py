from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.runs.operations import end_locked, runs
from engine.temporal.wakeups import Wakeups
from journeys.changes import EndJourney


def apply(engine: Engine, session: Session, run: Row[Any], change: EndJourney, now: datetime) -> Wakeups:
    """Ends the contact's other runs in the journey, in the order of their ids."""
    wakeups, live = Wakeups(), engine.index(session).find(change.journey)
    if live is None:
        return wakeups
    others = select(runs).where(
        runs.c.journey_id == live.id, runs.c.contact_id == run.contact_id, runs.c.ended_at.is_(None), runs.c.id != run.id
    )
    for other in session.execute(others.order_by(runs.c.id)).all():
        end_locked(engine, session, other.id, "ended_by_journey", now)
        wakeups.wake(other.id)
    return wakeups
