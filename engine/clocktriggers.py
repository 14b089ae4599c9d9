"""Triggers that hang on the clock: recurring schedules over a rule, and dates in contact fields. Pulled by the keeper, a page a time.

A cursor row per trigger says how far it got; it moves in the transaction that enrols a page, so a crash repeats nobody. Of several
missed occurrences only the last one is made up for.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from crm import rules as sql_rules
from crm.sql import table
from engine.advance import zone_of
from engine.enrol import Entered, enrol
from engine.live import Engine, LiveJourney
from engine.router import lock_contacts
from engine.wakeups import Wakeups
from journeys.clock import next_clock_time
from journeys.cron import next_after
from journeys.document import DateTrigger, ScheduleTrigger, Trigger
from journeys.rules import FieldTerm, Group, Rule
from models import Contact, TriggerCursor

PAGE = 100
contacts = table(Contact)
cursors = table(TriggerCursor)


def _each_zone() -> Select[Any]:
    """The zones that contacts live in, in order: from each to the next by the index, because DISTINCT would read every contact."""
    zones = select(func.min(contacts.c.timezone).label("zone")).cte("zones", recursive=True)
    later = select(func.min(contacts.c.timezone)).where(contacts.c.timezone > zones.c.zone).scalar_subquery()
    zones = zones.union_all(select(later).where(zones.c.zone.is_not(None)))
    return select(zones.c.zone).where(zones.c.zone.is_not(None))


_known_zones = _each_zone()


def pull(engine: Engine) -> Wakeups:
    """One page of every clock trigger that is due."""
    now = engine.clock.now()
    with engine.db.read() as session:
        index = engine.index(session)
        due = [
            (live, trigger, zone)
            for live in index.by_id.values()
            if live.state == "live"
            for trigger in live.program.entry.triggers
            if isinstance(trigger, ScheduleTrigger | DateTrigger)
            for zone in _zones(session, live, trigger)
            if _occurrence(session, live, trigger, zone, now) is not None
        ]
    wakeups = Wakeups()
    for live, trigger, zone in due:
        with engine.db.write() as session:
            wakeups.add(_page(engine, session, live, trigger, zone, now))
    return wakeups


def _page(engine: Engine, session: Session, live: LiveJourney, trigger: Trigger, zone: str, now: datetime) -> Wakeups:
    """Enrols the next contacts of the present occurrence and moves the cursor, together."""
    cursor = _cursor(session, live, trigger, zone, now)
    occurrence = _due_at(cursor, live, trigger, zone, now)
    if occurrence is None:
        return Wakeups()
    found = sql_rules.page(session, _rule(trigger, zone, occurrence), occurrence, cursor.after_contact, PAGE)
    wakeups = _enrol_all(engine, session, live, [id for id in found if _in_zone(session, trigger, id, zone)], occurrence, now)
    finished = len(found) < PAGE
    cursor.occurrence_at = None if finished else occurrence
    cursor.after_contact = "" if finished else found[-1]
    cursor.done_until = occurrence if finished else cursor.done_until
    session.add(cursor)
    session.flush()
    return wakeups


def _enrol_all(engine: Engine, session: Session, live: LiveJourney, contact_ids: list[str], occurrence: datetime, now: datetime) -> Wakeups:
    wakeups = Wakeups()
    lock_contacts(session, contact_ids)
    for contact_id in contact_ids:
        entered = enrol(engine, session, live, contact_id, now, data={"scheduled_at": occurrence.isoformat()})
        if isinstance(entered, Entered):
            wakeups.add(entered.wakeups)
    return wakeups


def _occurrence(session: Session, live: LiveJourney, trigger: Trigger, zone: str, now: datetime) -> datetime | None:
    cursor = session.get(TriggerCursor, (live.id, _name(trigger, zone)))
    return now if cursor is None else _due_at(cursor, live, trigger, zone, now)


def _cursor(session: Session, live: LiveJourney, trigger: Trigger, zone: str, now: datetime) -> TriggerCursor:
    """A trigger seen for the first time starts counting now: publishing does not make up for the past."""
    name = _name(trigger, zone)
    known = session.get(TriggerCursor, (live.id, name))
    if known is None:
        known = TriggerCursor(journey_id=live.id, trigger=name, done_until=now)
        session.add(known)
        session.flush()
    return known


def _due_at(cursor: TriggerCursor, live: LiveJourney, trigger: Trigger, zone: str, now: datetime) -> datetime | None:
    """The occurrence to work on: the one begun, else the last one that came due since the cursor."""
    if cursor.occurrence_at is not None:
        return cursor.occurrence_at
    due, after = None, cursor.done_until
    while (following := _following(live, trigger, zone, after)) is not None and following <= now:
        due = after = following
    return due


def _following(live: LiveJourney, trigger: Trigger, zone: str, after: datetime) -> datetime | None:
    where = zone_of(zone, live.program.settings.timezone)
    if isinstance(trigger, ScheduleTrigger):
        return next_after(trigger.cron, after, zone_of(None, live.program.settings.timezone))
    if isinstance(trigger, DateTrigger):
        return next_clock_time(after, time.fromisoformat(trigger.at), where)
    return None


def _rule(trigger: Trigger, zone: str, occurrence: datetime) -> Rule:
    if isinstance(trigger, ScheduleTrigger):
        return trigger.rule
    assert isinstance(trigger, DateTrigger)
    day = occurrence.astimezone(zone_of(zone, "UTC")).date() - timedelta(days=trigger.offset_days)
    return Group(combinator="or", rules=tuple(_on(trigger, text) for text in _days(day, trigger.yearly)))


def _on(trigger: DateTrigger, text: str) -> FieldTerm:
    return FieldTerm(field=trigger.field, operator="contains" if trigger.yearly else "beginsWith", value=text)


def _days(day: date, yearly: bool) -> list[str]:
    """The texts a stored date may carry; who was born on 29 February celebrates on the 28th in other years."""
    if not yearly:
        return [day.isoformat()]
    texts = [day.strftime("-%m-%d")]
    leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    return [*texts, "-02-29"] if texts == ["-02-28"] and not leap else texts


def _zones(session: Session, live: LiveJourney, trigger: Trigger) -> list[str]:
    """A schedule has one clock, a date one per zone that contacts live in ("" for those without)."""
    if isinstance(trigger, ScheduleTrigger):
        return [""]
    return ["", *session.scalars(_known_zones)]


def _in_zone(session: Session, trigger: Trigger, contact_id: str, zone: str) -> bool:
    if isinstance(trigger, ScheduleTrigger):
        return True
    return (session.execute(select(contacts.c.timezone).where(contacts.c.id == contact_id)).scalar() or "") == zone


def _name(trigger: Trigger, zone: str) -> str:
    """Names the trigger by what it says, so that an unchanged one keeps its cursor across versions."""
    said: dict[str, Any] = trigger.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps([said, zone], sort_keys=True).encode()).hexdigest()
