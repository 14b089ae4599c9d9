"""From stored events to runs: wake-ups for those that listen, enrolments where a trigger fires.

Works in the transaction that stored the events, so that nothing falls between. Order per contact: exits and waits (inbox rows),
goals, then triggers. What concerns a journey that this process cannot load is owed (`engine.enrolment.unrouted`) and done by another, or
by this one once it can; everything else goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine, Hanging, LiveJourney, NotLoaded
from engine.enrolment import unrouted
from engine.enrolment.enrol import Entered, enrol
from engine.enrolment.unmet import Unmet
from engine.interpreter.paths import dig
from engine.runs.step import where
from engine.temporal.wakeups import Wakeups
from journeys.catalogue import is_genuine
from journeys.document import Goal
from journeys.rules import matches
from journeys.triggers import Trigger
from models import Contact, Event, Inbox, Run, Subscription
from storage import tally
from storage.sql import changed_rows, on, savepoint, table

log = logging.getLogger(__name__)

subscriptions = table(Subscription)
inbox = table(Inbox)
runs = table(Run)
contacts = table(Contact)

MAX_HOPS = 8
"""An event that so many journeys' own doings led to starts nothing more."""

_listening = select(subscriptions.c.run_id, subscriptions.c.contact_id, subscriptions.c.topic, subscriptions.c.why).where(
    subscriptions.c.contact_id.in_(bindparam("contacts", expanding=True))
)
_in_inbox = select(inbox.c.event_id).where(inbox.c.run_id == bindparam("run"), inbox.c.event_id == bindparam("event"))
_put_into_inbox = insert(inbox)
_of_goal = select(
    runs.c.version_id,
    runs.c.journey_id,
    runs.c.version_number,
    runs.c.status,
    func.coalesce(runs.c.since, runs.c.started_at).label("since"),
).where(runs.c.id == bindparam("of_run"))
_reach_goal = (
    update(runs)
    .where(runs.c.id == bindparam("of_run"), runs.c.goal_at.is_(None))
    .values(goal_at=bindparam("at"), goal_value=bindparam("worth"), goal_event_id=bindparam("by"))
)


def route(engine: Engine, session: Session, events: Sequence[Event], now: datetime, *, careful: bool = False) -> Wakeups:
    """Puts events into the inboxes of the runs that listen, counts goals and enrols contacts.

    `events` are stored already, in the order in which they came; backfilled ones wake nobody, and neither do those that are only spelt like
    one of ours. `now` is when they arrived.
    `careful` puts each part into a savepoint of its own: what fails there is owed, and the rest stands.
    """
    wakeups = Wakeups()
    fresh = [event for event in events if not event.backfill and event.id is not None and is_genuine(event.type, event.name)]
    if not fresh:
        return wakeups
    contact_ids = sorted({event.contact_id for event in fresh})
    lock_contacts(session, contact_ids)
    index = engine.index(session)
    listeners = _listeners(session, contact_ids)
    unmet = Unmet()
    for event in fresh:
        with engine.tracing.span("route", parent=event.trace, event_id=_id(event)):
            attempt = partial(_attempt, session, event, now, careful)
            if heard := listeners.get(event.contact_id):
                with attempt(unrouted.INBOX):
                    _deliver(session, event, heard, now, wakeups)
                for run_id in _hoping(event, heard):
                    with attempt(unrouted.goal_of(run_id)):
                        _count_goal(engine, session, run_id, event)
            topics = event_topics(event)
            for broken in index.entered_by(topics):
                unrouted.owe(session, _id(event), unrouted.entry_of(broken.id), broken.why.code, now)
            for live, triggers in _by_journey(index.hanging_on(topics)):
                with attempt(unrouted.entry_of(live.id)):
                    if _enter(engine, session, live, triggers, event, now, wakeups, unmet):
                        listeners[event.contact_id] = _listeners(session, [event.contact_id]).get(event.contact_id, [])
    unmet.write(session)
    return wakeups


def route_part(engine: Engine, session: Session, event: Event, part: str, now: datetime) -> Wakeups:
    """Does what an event still owes. Safe to repeat: an inbox takes an event once, a goal counts once, a trigger starts one run.

    Raises: whatever keeps it from being done, `NotLoaded` among others.
    """
    if not is_genuine(event.type, event.name):
        return Wakeups()
    with engine.tracing.span("route", parent=event.trace, event_id=_id(event)):
        return _route_part(engine, session, event, part, now)


def _route_part(engine: Engine, session: Session, event: Event, part: str, now: datetime) -> Wakeups:
    wakeups = Wakeups()
    lock_contacts(session, [event.contact_id])
    name, _, of = part.partition(":")
    if name == unrouted.ALL:
        return route(engine, session, [event], now)
    if name == unrouted.INBOX:
        _deliver(session, event, _listeners(session, [event.contact_id]).get(event.contact_id, []), now, wakeups)
    elif name == "goal":
        _count_goal(engine, session, of, event)
    elif (live := engine.index(session).get(of)) is not None:
        hanging = engine.index(session).hanging_on(event_topics(event))
        unmet = Unmet()
        _enter(engine, session, live, [one.trigger for one in hanging if one.live.id == of], event, now, wakeups, unmet)
        unmet.write(session)
    return wakeups


@contextmanager
def _attempt(session: Session, event: Event, now: datetime, careful: bool, part: str) -> Iterator[None]:
    """One part of an event's routing. A version that this process cannot load is always owed; any other failure only if `careful`."""
    if not careful:
        try:
            yield
        except NotLoaded as error:
            unrouted.owe(session, _id(event), part, error.code, now)
        return
    try:
        with savepoint(session):
            yield
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        log.error("event %s: %s is tried again: %s", event.id, part, where(error))
        unrouted.owe(session, _id(event), part, where(error), now)


def _id(event: Event) -> int:
    assert event.id is not None, "only stored events are routed"
    return event.id


def _by_journey(hanging: Iterable[Hanging]) -> Iterable[tuple[LiveJourney, list[Trigger]]]:
    """Journeys with those of their triggers that hang on an event, in the order of the index."""
    for _, group in groupby(hanging, key=lambda one: one.live.id):
        found = list(group)
        yield found[0].live, [one.trigger for one in found]


def _enter(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    triggers: Sequence[Trigger],
    event: Event,
    now: datetime,
    wakeups: Wakeups,
    unmet: Unmet,
) -> bool:
    """Enrols the contact for each trigger that fires; whether somebody entered. Where none does, its condition is noted."""
    if event.hops > MAX_HOPS:
        return False
    facts = SqlFacts(session, event.contact_id, as_of=now)
    firing = [trigger for trigger in triggers if trigger.fires(event, facts, now)]
    if not firing:
        unmet.note(live, triggers, event, facts, now)
    anybody = False
    for _ in firing:
        entered = enrol(engine, session, live, event.contact_id, now, event=event)
        if isinstance(entered, Entered):
            wakeups.add(entered.wakeups)
            anybody = True
    return anybody


def routed(engine: Engine, session: Session, events: Iterable[Event | None], now: datetime) -> Wakeups:
    """Routes events that a change has just stored and marks them, so that the keeper does not do it again. None stands for no change."""
    stored = [event for event in events if event is not None]
    if not stored:
        return Wakeups()
    wakeups = route(engine, session, stored, now)
    for event in stored:
        event.routed = True
    session.flush()
    return wakeups


def lock_contacts(session: Session, contact_ids: Sequence[str]) -> None:
    """Takes the rows of several contacts, in the order of their ids. SQLite has locked the file already."""
    if session.get_bind().dialect.name != "sqlite":
        on(session).execute(select(contacts.c.id).where(contacts.c.id.in_(contact_ids)).order_by(contacts.c.id).with_for_update())


def _listeners(session: Session, contact_ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in on(session).execute(_listening, {"contacts": contact_ids}):
        found.setdefault(row.contact_id, []).append(row)
    return found


def _deliver(session: Session, event: Event, listeners: Sequence[Any], now: datetime, wakeups: Wakeups) -> None:
    topics = event_topics(event)
    waiting = {row.run_id for row in listeners if row.topic in topics and row.why != "goal"}
    for run_id in sorted(waiting):
        put_into_inbox(session, run_id, event, now)
        wakeups.wake(run_id)


def _hoping(event: Event, listeners: Sequence[Any]) -> list[str]:
    """The runs whose goal may be this event."""
    topics = event_topics(event)
    return [row.run_id for row in listeners if row.why == "goal" and row.topic in topics]


def put_into_inbox(session: Session, run_id: str, event: Event, now: datetime) -> None:
    """Once per run and event, whoever routes it."""
    known = on(session).execute(_in_inbox, {"run": run_id, "event": event.id}).first()
    if known is None:
        on(session).execute(_put_into_inbox, {"run_id": run_id, "event_id": event.id, "arrived_at": now, "consumed": False})


def event_topics(event: Event) -> frozenset[str]:
    """The topics under which runs listen for this event, which is what its name says (`route`)."""
    topics = {f"event:{event.name}"}
    if event.type == "system":
        topics.update(_derived_topics(event.name, event.properties))
    return frozenset(topics)


def _derived_topics(name: str, properties: dict[str, Any]) -> Iterable[str]:
    if name == "Contact Changed":
        yield from (f"field:{field}" for field in properties.get("fields", ()))
        yield from (f"tag:{tag}" for tag in (*properties.get("tags_added", ()), *properties.get("tags_removed", ())))
    elif name == "Score Changed":
        yield f"score:{properties.get('group')}"
    elif name == "Consent Changed":
        yield "consent"


def _count_goal(engine: Engine, session: Session, run_id: str, event: Event) -> None:
    """The first fitting event between the run's start and the goal's window counts, however late it arrives."""
    run = on(session).execute(_of_goal, {"of_run": run_id}).one()
    goal = engine.program(session, run.version_id).goal
    if (
        goal is None
        or not _within(goal, run.since, event)
        or not (goal.where is None or matches(goal.where, event.properties, event.occurred_at))
    ):
        return
    worth = dig(event.properties, goal.value) if goal.value else None
    values = {"of_run": run_id, "at": event.occurred_at, "worth": _number(worth), "by": event.id}
    if changed_rows(session, _reach_goal, values):
        what = "held_out_goal" if run.status == "held_out" else "goal"
        tally.append(session, run.journey_id, run.version_number, {("", what, ""): 1}, event.occurred_at)


def _within(goal: Goal, since: datetime, event: Event) -> bool:
    return since <= event.occurred_at <= since + goal.window


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
