"""Writes the changes of a walk to our own tables, in the step's transaction, and tells the runs that wait for what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from crm import changes as of_contacts
from engine import changes as of_runs
from engine.changes.change import Doer
from engine.engine import Engine
from engine.runs import delivery
from engine.runs.caused import Caused, Happened
from journeys.changes import Change
from models import Event


def apply_changes(
    engine: Engine, session: Session, run: Row[Any], changes: Sequence[Change], now: datetime, by: tuple[str, ...] = ()
) -> Caused:
    """Applies `changes` in order for the contact of `run`; what they set off counts one hop more than the run itself.

    `by`: the runs whose walks led to this one in the same transaction.
    """
    cause = of_contacts.Cause(run.id, run.contact_id, run.hops + 1, now)
    doer = Doer(run, now, (*by, run.id))
    caused = Caused()
    derived: list[Event] = []
    for change in changes:
        if change.change in of_runs.APPLY:
            caused.add(of_runs.APPLY[change.change](engine, session, change, doer))
        else:
            written = of_contacts.APPLY[change.change](session, change, cause)
            derived.extend(event for event in written if event is not None)
    if derived:
        caused.add(_told(engine, session, derived, doer))
    return caused


def _told(engine: Engine, session: Session, derived: Sequence[Event], doer: Doer) -> Caused:
    """By the subscriptions as they are before this walk is written: a wait that it comes to hears nothing of what came before."""
    listeners = delivery.listening(session, [doer.run.contact_id]).get(doer.run.contact_id, [])
    known = frozenset(row.run_id for row in listeners)
    caused = Caused()
    for event in derived:
        caused.wakeups.add(delivery.deliver(engine, session, event, listeners, doer.now, careful=True))
        caused.pending.append(Happened(event, doer.by, known))
        event.routed = True
    session.flush()
    return caused
