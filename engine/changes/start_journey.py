from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.enrolment.enrol import Entered, enrol
from engine.restored import cause_by_run
from engine.temporal.wakeups import Wakeups
from journeys.changes import StartJourney


def apply(engine: Engine, session: Session, run: Row[Any], change: StartJourney, now: datetime) -> Wakeups:
    """Nothing happens where the other journey is not published, or does not let the contact in."""
    live = engine.index(session).find(change.journey)
    if live is None:
        return Wakeups()
    entered = enrol(
        engine,
        session,
        live,
        run.contact_id,
        now,
        data={**run.trigger, **change.data},
        hops=run.hops + 1,
        occasion=run.occasion,
        caused_at=cause_by_run(engine, session, run, now),
    )
    return entered.wakeups if isinstance(entered, Entered) else Wakeups()
