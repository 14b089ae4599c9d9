from __future__ import annotations

from sqlalchemy.orm import Session

from engine.changes.change import Doer
from engine.engine import Engine
from engine.restored import cause_by_run
from engine.runs.caused import Asked, Caused
from journeys.changes import StartJourney


def apply(engine: Engine, session: Session, change: StartJourney, doer: Doer) -> Caused:
    """The other journey decides when the step's own rows are written; nothing happens where it is not published then."""
    run = doer.run
    asked = Asked(
        change.journey,
        run.contact_id,
        {**run.trigger, **change.data},
        run.hops + 1,
        run.occasion,
        cause_by_run(engine, session, run, doer.now),
        doer.by,
    )
    return Caused(pending=[asked])
