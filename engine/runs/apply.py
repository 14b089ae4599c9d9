"""Writes the changes of a walk to our own tables, in the step's transaction, and routes the events that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from crm.people import profile, scores
from crm.sales import tasks
from engine.engine import Engine
from engine.restored import cause_by_run
from engine.temporal.wakeups import Wakeups
from journeys.values import (
    AddTag,
    Change,
    ChangeScore,
    CreateTask,
    EndJourney,
    RemoveTag,
    SetFields,
    SetOwner,
    StartJourney,
)
from models import Event, Run
from storage.sql import table
from workspace import members

runs = table(Run)


def apply_changes(engine: Engine, session: Session, run: Row[Any], changes: Sequence[Change], now: datetime) -> Wakeups:
    """Applies `changes` in order for the contact of `run`; what they set off counts one hop more than the run itself."""
    from engine.enrolment.routing import route  # a change may enrol the contact elsewhere, whose first walk applies changes again

    wakeups = Wakeups()
    derived: list[Event] = []
    for change in changes:
        if isinstance(change, StartJourney | EndJourney):
            wakeups.add(_other_journey(engine, session, run, change, now))
        else:
            derived.extend(event for event in _write(session, run, change, now) if event is not None)
    if derived:
        wakeups.add(route(engine, session, derived, now))
        for event in derived:
            event.routed = True
        session.flush()
    return wakeups


def _write(session: Session, run: Row[Any], change: Change, now: datetime) -> Iterable[Event | None]:
    contact_id, hops, source = run.contact_id, run.hops + 1, f"journey:{run.id}"
    match change:
        case SetFields(fields=fields):
            yield profile.update_fields(session, contact_id, fields, now, source, hops=hops)
        case AddTag(tag=tag):
            yield profile.add_tag(session, contact_id, tag, now, source, hops=hops)
        case RemoveTag(tag=tag):
            yield profile.remove_tag(session, contact_id, tag, now, source, hops=hops)
        case ChangeScore(group=group, points=points, absolute=absolute, reason=reason):
            yield scores.change_score(session, contact_id, group, points, absolute, reason, now, hops=hops, source=source)
        case SetOwner(owner=owner, pool=pool):
            if pool:
                members.advance_rotation(session, pool, owner)
            yield profile.set_owner(session, contact_id, owner, now, source, hops=hops)
        case CreateTask():
            tasks.create(session, change, contact_id=contact_id, run_id=run.id, node=change.id.split(":")[1], now=now)


def _other_journey(engine: Engine, session: Session, run: Row[Any], change: StartJourney | EndJourney, now: datetime) -> Wakeups:
    from engine.enrolment.enrol import Entered, enrol  # see apply_changes
    from engine.runs.operations import end_locked

    live = engine.index(session).find(change.journey)
    if live is None:
        return Wakeups()
    if isinstance(change, StartJourney):
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
    wakeups = Wakeups()
    others = select(runs).where(
        runs.c.journey_id == live.id, runs.c.contact_id == run.contact_id, runs.c.ended_at.is_(None), runs.c.id != run.id
    )
    for other in session.execute(others.order_by(runs.c.id)).all():
        end_locked(engine, session, other.id, "ended_by_journey", now)
        wakeups.ring(other.id)
    return wakeups
