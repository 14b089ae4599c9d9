from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.changes.change import Doer
from engine.engine import Engine
from engine.runs.caused import Caused
from engine.runs.operations import end_locked, runs
from journeys.changes import EndJourney


def apply(engine: Engine, session: Session, change: EndJourney, doer: Doer) -> Caused:
    """Ends the contact's other runs in the journey, in the order of their ids."""
    caused, journey_id = Caused(), engine.index(session).id_of(change.journey)
    if journey_id is None:
        return caused
    others = select(runs).where(
        runs.c.journey_id == journey_id, runs.c.contact_id == doer.run.contact_id, runs.c.ended_at.is_(None), runs.c.id != doer.run.id
    )
    for other in session.execute(others.order_by(runs.c.id)).all():
        end_locked(engine, session, other.id, "ended_by_journey", doer.now)
        caused.wakeups.wake(other.id)
    return caused
