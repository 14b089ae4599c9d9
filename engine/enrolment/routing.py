"""From stored events to runs: wake-ups for those that listen, enrolments where a trigger fires.

Works in the transaction that stored the events, so that nothing falls between. Order per contact: exits and waits (inbox rows),
goals, then triggers. What a run's walk sets off in turn is a work list (`settle`), done when the run's own rows are written: a journey may lead
to another, that one to a third, and no call is nested in another for it. What concerns a journey that this process cannot load is owed
(`engine.enrolment.unrouted`) and done by another, or by this one once it can; everything else goes on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine, Hanging, LiveJourney
from engine.enrolment import unrouted
from engine.enrolment.enrol import MAX_HOPS, Begun, enrol
from engine.enrolment.entry import Refused
from engine.enrolment.unmet import Unmet
from engine.runs import delivery
from engine.runs.caused import Asked, Caused, Happened
from engine.runs.delivery import event_topics, id_of, is_heard
from engine.temporal.wakeups import Wakeups
from journeys.catalogue import is_genuine
from journeys.errors import where
from journeys.triggers import Trigger
from models import Contact, Event, new_id
from storage.events import event_row, insert_events
from storage.sql import on, savepoint, table

log = logging.getLogger(__name__)

MOST_BEGUN = 200
"""Runs that one work list begins. Journeys that all begin by what the others do would multiply with each hop, in one transaction."""

contacts = table(Contact)

DELAYED = "Journey Start Delayed"
"""The event that a start is owed to which a step has asked for, and which failed."""


@dataclass(frozen=True, slots=True)
class Entered:
    """The contact is in. A held-out contact has a run that never moves (`held_out`) and no wakeups."""

    run_id: str
    wakeups: Wakeups
    held_out: bool = False


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
    listeners = delivery.listening(session, contact_ids)
    unmet = Unmet()
    for event in fresh:
        with engine.tracing.span("route", parent=event.trace, event_id=id_of(event)):
            heard = listeners.get(event.contact_id, [])
            wakeups.add(delivery.deliver(engine, session, event, heard, now, careful=careful))
            begun = _entries(engine, session, event, now, unmet, _doers(event), careful)
            if begun:
                wakeups.add(settle(engine, session, _caused(begun), now))
                listeners[event.contact_id] = delivery.listening(session, [event.contact_id]).get(event.contact_id, [])
    unmet.write(session)
    return wakeups


def settle(engine: Engine, session: Session, caused: Caused, now: datetime) -> Wakeups:
    """Does what walks have set off, and what that sets off in turn, each before what came after it; returns what to wake after the commit.

    The runs whose walks they were are written already. Each part has a savepoint of its own: what fails is owed. It comes to an end, because
    each round counts a hop more and after `MAX_HOPS` nobody enters, nor after `MOST_BEGUN` runs.
    """
    wakeups, unmet = caused.wakeups, Unmet()
    pending, count = deque(caused.pending), 0
    while pending:
        item, hops = pending.popleft(), 0 if count < MOST_BEGUN else MAX_HOPS + 1
        begun = (
            _start(engine, session, replace(item, hops=max(item.hops, hops)), now)
            if isinstance(item, Asked)
            else _follow(engine, session, item, now, unmet, wakeups, count > 0, hops)
        )
        count += len(begun)
        more = _caused(begun)
        wakeups.add(more.wakeups)
        pending.extendleft(reversed(more.pending))
    unmet.write(session)
    return wakeups


def enter(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    *,
    data: dict[str, Any] | None = None,
    occasion: str = "",
    caused_at: datetime | None = None,
) -> Entered | Refused:
    """Enrols a contact without an event (see `enrol`), and does what comes of it. The caller holds the contact's lock."""
    answer = enrol(engine, session, live, contact_id, now, data=data, occasion=occasion, caused_at=caused_at)
    if isinstance(answer, Refused):
        return answer
    return Entered(answer.run_id, settle(engine, session, answer.caused, now), answer.held_out)


def route_part(engine: Engine, session: Session, event: Event, part: str, now: datetime) -> Wakeups:
    """Does what an event still owes. Safe to repeat: an inbox takes an event once, a goal counts once, a trigger starts one run.

    Raises: whatever keeps it from being done, `NotLoaded` among others.
    """
    if not is_genuine(event.type, event.name):
        return Wakeups()
    with engine.tracing.span("route", parent=event.trace, event_id=id_of(event)):
        return _route_part(engine, session, event, part, now)


def _route_part(engine: Engine, session: Session, event: Event, part: str, now: datetime) -> Wakeups:
    lock_contacts(session, [event.contact_id])
    name, _, of = part.partition(":")
    if name == unrouted.ALL:
        return route(engine, session, [event], now)
    if name == unrouted.INBOX:
        return delivery.tell(session, event, delivery.listening(session, [event.contact_id]).get(event.contact_id, []), now)
    if name == "goal":
        delivery.count_goal(engine, session, of, event)
        return Wakeups()
    if name == unrouted.START:
        return settle(engine, session, _caused(_begin_delayed(engine, session, event, now)), now)
    live = engine.index(session).get(of)
    return Wakeups() if live is None else _enter_one(engine, session, live, event, now)


def _enter_one(engine: Engine, session: Session, live: LiveJourney, event: Event, now: datetime) -> Wakeups:
    hanging = engine.index(session).hanging_on(event_topics(event))
    unmet = Unmet()
    triggers = [one.trigger for one in hanging if one.live.id == live.id]
    begun = _enter(engine, session, live, triggers, event, now, unmet, _doers(event))
    unmet.write(session)
    return settle(engine, session, _caused(begun), now)


def _caused(begun: Iterable[Begun]) -> Caused:
    caused = Caused()
    for one in begun:
        caused.add(one.caused)
    return caused


def _doers(event: Event) -> tuple[str, ...]:
    """The run whose doing the event is, if any: to its journey the contact was inside when it came about."""
    kind, _, run_id = event.source.partition(":")
    return (run_id,) if kind == "journey" else ()


# What an event begins


def _follow(
    engine: Engine, session: Session, happened: Happened, now: datetime, unmet: Unmet, wakeups: Wakeups, anybody: bool, hops: int
) -> list[Begun]:
    """Entries by an event of a walk. `anybody`: runs have begun since it was delivered, and have to hear of it. `hops`: no fewer count."""
    event = happened.event
    with engine.tracing.span("route", parent=event.trace, event_id=id_of(event)):
        if anybody:
            told = happened.known.union(happened.by)
            heard = delivery.listening(session, [event.contact_id]).get(event.contact_id, [])
            new = [row for row in heard if row.run_id not in told]
            wakeups.add(delivery.deliver(engine, session, event, new, now, careful=True))
        return _entries(engine, session, event, now, unmet, happened.by, careful=True, hops=hops)


def _entries(
    engine: Engine, session: Session, event: Event, now: datetime, unmet: Unmet, by: tuple[str, ...], careful: bool, hops: int = 0
) -> list[Begun]:
    index, topics = engine.index(session), event_topics(event)
    for broken in index.entered_by(topics):
        unrouted.owe(session, id_of(event), unrouted.entry_of(broken.id), broken.why.code, now)
    begun: list[Begun] = []
    for live, triggers in _by_journey(index.hanging_on(topics)):
        with unrouted.attempt(session, id_of(event), unrouted.entry_of(live.id), now, careful):
            begun += _enter(engine, session, live, triggers, event, now, unmet, by, hops)
    return begun


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
    unmet: Unmet,
    by: tuple[str, ...],
    hops: int = 0,
) -> list[Begun]:
    """Enrols the contact for each trigger that fires. Where none does, its condition is noted."""
    facts = SqlFacts(session, event.contact_id, as_of=now)
    firing = [trigger for trigger in triggers if trigger.fires(event, facts, now)]
    if not firing:
        unmet.note(live, triggers, event, facts, now)
    answers = [enrol(engine, session, live, event.contact_id, now, event=event, hops=hops, by=by) for _ in firing]
    return [answer for answer in answers if isinstance(answer, Begun)]


# What a step asks for


def _start(engine: Engine, session: Session, asked: Asked, now: datetime) -> list[Begun]:
    """A failure is owed: the run that asked has gone on."""
    try:
        with savepoint(session):
            return _begin_asked(engine, session, asked, now)
    except Exception as error:
        if unrouted.is_lost(error):
            raise
        log.error("run %s: a start of journey %s is tried again: %s", _doer(asked), asked.journey, where(error))
        unrouted.owe(session, _delayed(engine, session, asked, now), unrouted.START, unrouted.reason_of(error), now)
        return []


def _begin_asked(engine: Engine, session: Session, asked: Asked, now: datetime, event: Event | None = None) -> list[Begun]:
    """Nothing happens where the journey is not published, or does not let the contact in.

    Raises: NotLoaded if this process cannot load it.
    """
    live = engine.index(session).find(asked.journey)
    if live is None:
        return []
    how: dict[str, Any] = {"hops": asked.hops, "occasion": asked.occasion, "caused_at": asked.caused_at, "by": asked.by}
    answer = enrol(engine, session, live, asked.contact_id, now, event=event, data=asked.data, **how)
    return [answer] if isinstance(answer, Begun) else []


def _doer(asked: Asked) -> str:
    """The run whose step asks; empty where a threshold of a score does."""
    return asked.by[-1] if asked.by else ""


def _delayed(engine: Engine, session: Session, asked: Asked, now: datetime) -> int:
    """Writes down what was asked for, as an event of the contact: it is merged, exported and erased with the others."""
    said = {
        "journey": asked.journey,
        "run_id": _doer(asked),
        "data": asked.data,
        "occasion": asked.occasion,
        "caused_at": asked.caused_at.isoformat(),
    }
    heard = is_heard(engine, session, asked.contact_id, DELAYED)
    source = f"journey:{_doer(asked)}" if asked.by else "system"
    row = event_row("system", DELAYED, {}, received_at=now, source=source, message_id=new_id(), hops=asked.hops, routed=not heard)
    [event_id] = insert_events(
        session, [{**row, "contact_id": asked.contact_id, "properties": said}]
    )  # however much a trigger has gathered
    assert event_id is not None, "its message id is new"
    return event_id


def _begin_delayed(engine: Engine, session: Session, event: Event, now: datetime) -> list[Begun]:
    said = event.properties
    caused_at = datetime.fromisoformat(said["caused_at"])
    asked = Asked(said["journey"], event.contact_id, said["data"], event.hops, said["occasion"], caused_at, _doers(event))
    return _begin_asked(engine, session, asked, now, event)


def routed(engine: Engine, session: Session, events: Iterable[Event | None], now: datetime) -> Wakeups:
    """Routes events that a change has just stored and marks them, so that the keeper does not do it again. None stands for no change."""
    stored = [event for event in events if event is not None]
    if not stored:
        return Wakeups()
    wakeups = route(engine, session, stored, now)
    if not all(event.routed for event in stored):
        for event in stored:
            event.routed = True
        session.flush()
    return wakeups


def lock_contacts(session: Session, contact_ids: Sequence[str]) -> None:
    """Takes the rows of several contacts, in the order of their ids. SQLite has locked the file already."""
    if session.get_bind().dialect.name != "sqlite":
        on(session).execute(select(contacts.c.id).where(contacts.c.id.in_(contact_ids)).order_by(contacts.c.id).with_for_update())
