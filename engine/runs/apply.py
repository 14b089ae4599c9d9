"""Writes the changes of a walk to our own tables, in the step's transaction, and routes the events that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from crm import changes as of_contacts
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from journeys.changes import Change
from models import Event


def apply_changes(engine: Engine, session: Session, run: Row[Any], changes: Sequence[Change], now: datetime) -> Wakeups:
    """Applies `changes` in order for the contact of `run`; what they set off counts one hop more than the run itself."""
    from engine import changes as of_runs  # a change may enrol the contact elsewhere, whose first walk applies changes again
    from engine.enrolment.routing import route

    cause = of_contacts.Cause(run.id, run.contact_id, run.hops + 1, now)
    wakeups = Wakeups()
    derived: list[Event] = []
    for change in changes:
        if change.change in of_runs.APPLY:
            wakeups.add(of_runs.APPLY[change.change](engine, session, run, change, now))
        else:
            written = of_contacts.APPLY[change.change](session, change, cause)
            derived.extend(event for event in written if event is not None)
    if derived:
        wakeups.add(route(engine, session, derived, now))
        for event in derived:
            event.routed = True
        session.flush()
    return wakeups
