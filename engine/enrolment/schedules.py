"""Triggers that hang on the clock: recurring schedules over a rule, and dates in contact fields. Pulled by the keeper, a page a time.

A cursor row per trigger says how far it got; it moves in the transaction that enrols a page, so a crash repeats nobody and skips nobody.
What came due while nothing was at work is made up for, each time in its turn, as far back as `Engine.catch_up` reaches. What is older
is left out: whoever it concerns gets a refusal `missed`, so that the journey shows it, and the audit trail and the log say it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import takewhile
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.rules import dated
from crm.rules import expression as sql_rules
from engine.engine import Engine, LiveJourney
from engine.enrolment.enrol import record_refusals
from engine.enrolment.entry import Refused
from engine.enrolment.routing import Entered, enter, lock_contacts
from engine.runs.operations import runs
from engine.temporal.wakeups import Wakeups
from journeys.clock import zone_of
from journeys.document import Entry
from journeys.errors import PfadwerkError, where
from journeys.triggers import ClockTrigger, Everyone, Trigger, WithDay
from models import Contact, TriggerCursor, lock
from storage.sql import table, upsert
from workspace.audit import record

log = logging.getLogger(__name__)

PAGE = 100
LEFT_OUT_PAGE = 400
STRETCHES = 25
"""Of contacts looked through for one page, so that a page stays short however rare a date is."""
OCCURRENCES = 50
"""Of one trigger at one tick."""
MOMENT = timedelta(microseconds=1)
TWO_DAYS = timedelta(days=2)
"""A day begins 26 hours earlier in the first zone than in the last."""
contacts = table(Contact)
cursors = table(TriggerCursor)


@dataclass(frozen=True, slots=True)
class _Pulled:
    """One clock trigger of a live journey, in one of the contacts' zones ("" where it has one clock for all, and for contacts without a zone)."""

    live: LiveJourney
    trigger: ClockTrigger
    zone: str

    @property
    def key(self) -> tuple[str, str]:
        return self.live.id, _name(self.trigger, self.zone)

    def following(self, after: datetime) -> datetime:
        """When it comes due next."""
        return next(self.trigger.instants(after, self.clock))

    @property
    def clock(self) -> tzinfo:
        return zone_of(self.zone, self.live.program.settings.timezone)


@dataclass(frozen=True, slots=True)
class _Work:
    """The next page of a cursor: of the occurrence `at`, or of everything later than `after` and up to `at` that is left out."""

    after: datetime
    at: datetime
    left_out: bool
    after_contact: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    """`found`: (contact id, the day in its field; None where no field is asked). `last_id` is where to go on; None when all were seen."""

    found: Sequence[tuple[str, date | None]]
    last_id: str | None


def _each_zone() -> Select[Any]:
    """The zones that contacts live in, in order: from each to the next by the index, because DISTINCT would read every contact."""
    zones = select(func.min(contacts.c.timezone).label("zone")).cte("zones", recursive=True)
    later = select(func.min(contacts.c.timezone)).where(contacts.c.timezone > zones.c.zone).scalar_subquery()
    zones = zones.union_all(select(later).where(zones.c.zone.is_not(None)))
    return select(zones.c.zone).where(zones.c.zone.is_not(None))


_known_zones = _each_zone()


def pull(engine: Engine) -> Wakeups:
    """One page of every clock trigger that is due. One that fails does not hold up the others."""
    wakeups = Wakeups()
    for pulled in _all(engine):
        try:
            _pull_one(engine, pulled, wakeups)
        except (LookupError, ValueError, TypeError, PfadwerkError) as error:
            log.error("a clock trigger of the journey %s fails and is tried again: %s", pulled.live.key, where(error))
    return wakeups


def begin(session: Session, journey_id: str, entry: Entry, now: datetime, *, anew: bool) -> None:
    """Triggers that a publication brings count from now on: it makes up for nothing. Those that stay keep their place, unless all begin
    `anew`; what is gone is forgotten."""
    names = {_name(trigger, zone) for trigger, zone in _clock_triggers(session, entry)}
    gone = delete(cursors).where(cursors.c.journey_id == journey_id)
    session.execute(gone if anew else gone.where(cursors.c.trigger.not_in(names)))
    _begin(session, journey_id, sorted(names), now)


@dataclass(frozen=True, slots=True)
class Coming:
    """The next occurrence of a clock trigger, and whom it would let in as things are now."""

    pulled: _Pulled
    at: datetime

    @property
    def trigger(self) -> ClockTrigger:
        return self.pulled.trigger

    def look(self, session: Session, after_id: str, limit: int) -> tuple[Sequence[tuple[str, dict[str, Any]]], str | None]:
        """(contact id, what its run would know of the occurrence) of the next ones after `after_id`, and where to go on (None: that was
        all). Of a date one stretch of contacts is looked through at a time; who entered for the same day in another zone is passed over."""
        work = _Work(self.at, self.at, False, after_id)
        page = _look(session, self.pulled, work, limit, stretches=1)
        return [(id, data) for id, data in _yet_to_enter(session, self.pulled, page.found, self.at)], page.last_id


def coming(session: Session, live: LiveJourney, now: datetime, until: datetime) -> list[Coming]:
    """The first occurrence of each clock trigger (in each zone) after `now`, up to `until`, in order."""
    each = [_Pulled(live, trigger, zone) for trigger, zone in _clock_triggers(session, live.program.entry)]
    return sorted((Coming(one, at) for one in each if (at := one.following(now)) <= until), key=lambda one: one.at)


def _all(engine: Engine) -> list[_Pulled]:
    with engine.db.read() as session:
        return [
            _Pulled(live, trigger, zone)
            for live in engine.index(session).by_id.values()
            if live.state == "live"
            for trigger, zone in _clock_triggers(session, live.program.entry)
        ]


def _clock_triggers(session: Session, entry: Entry) -> Iterator[tuple[ClockTrigger, str]]:
    """Each with "" where it has one clock for all, else with the zones that contacts live in ("" for those without)."""
    for trigger in entry.triggers:
        if isinstance(trigger, ClockTrigger):
            zones = session.scalars(_known_zones) if trigger.each_zone else ()
            yield from ((trigger, zone) for zone in ["", *zones])


def _pull_one(engine: Engine, pulled: _Pulled, wakeups: Wakeups) -> None:
    """A page of contacts, or as many occurrences as concern fewer than that."""
    now = engine.clock.now()
    horizon = engine.clock.to_virtual(engine.clock.to_real(now) - engine.catch_up)
    dealt_with = 0
    for _ in range(OCCURRENCES):
        with engine.db.read() as session:
            cursor = session.get(TriggerCursor, pulled.key)
            work = None if cursor is None else _next_work(cursor, pulled, now, horizon)
            page = None if work is None else _look(session, pulled, work)
        if cursor is None:
            with engine.db.write() as session:
                _begin(session, pulled.live.id, [_name(pulled.trigger, pulled.zone)], now)
        if work is None or page is None:
            return
        with engine.db.write() as session:
            wakeups.add(_take(engine, session, pulled, work, page, now))
        dealt_with += len(page.found)
        if page.last_id is not None or dealt_with >= PAGE:
            return


def _begin(session: Session, journey_id: str, names: Sequence[str], now: datetime) -> None:
    rows = [{"journey_id": journey_id, "trigger": name, "done_until": now, "after_contact": ""} for name in names]
    if rows:
        session.execute(upsert(session, TriggerCursor).on_conflict_do_nothing(index_elements=["journey_id", "trigger"]), rows)


def _next_work(cursor: TriggerCursor, pulled: _Pulled, now: datetime, horizon: datetime) -> _Work | None:
    """What was begun is finished, unless nobody worked at it since the horizon; then what is too old is left out; then what is due, in order."""
    if cursor.occurrence_at is not None:
        stale = (cursor.worked_at or cursor.occurrence_at) < horizon
        return _Work(cursor.done_until, cursor.occurrence_at, cursor.left_out is not None or stale, cursor.after_contact)
    due = pulled.following(cursor.done_until)
    if due > now:
        return None
    return _Work(cursor.done_until, due, False) if due >= horizon else _Work(cursor.done_until, horizon - MOMENT, True)


# Whom it concerns


def _look(session: Session, pulled: _Pulled, work: _Work, limit: int | None = None, stretches: int = STRETCHES) -> _Page:
    """The next contacts it concerns, as this snapshot has them."""
    limit = limit or (LEFT_OUT_PAGE if work.left_out else PAGE)
    whom = _whom(pulled, work)
    if isinstance(whom, Everyone):
        ids = sql_rules.page(session, whom.rule, work.at, work.after_contact, limit)
        return _Page([(id, None) for id in ids], ids[-1] if len(ids) == limit else None)
    return _look_for_days(session, _days(whom, pulled), work.after_contact, limit, stretches)


def _look_for_days(session: Session, asked: dated.Days, after: str, limit: int, stretches: int) -> _Page:
    found = list[tuple[str, date | None]]()
    for _ in range(stretches):
        stretch = dated.next_stretch(session, asked, after)
        found += stretch.found
        if len(found) >= limit:
            return _Page(found[:limit], found[limit - 1][0])
        if stretch.last_id is None:
            return _Page(found, None)
        after = stretch.last_id
    return _Page(found, after)


def _still(session: Session, pulled: _Pulled, work: _Work, page: _Page) -> Sequence[tuple[str, date | None]]:
    """Those of the page whom it concerns now, under their locks: they may have changed since it was read."""
    ids = [id for id, _ in page.found]
    whom = _whom(pulled, work)
    if isinstance(whom, Everyone):
        return [(id, None) for id in sql_rules.among(session, whom.rule, work.at, ids)]
    return dated.among(session, _days(whom, pulled), ids)


def _whom(pulled: _Pulled, work: _Work) -> Everyone | WithDay:
    return pulled.trigger.whom(_occurrences(pulled, work), pulled.clock)


def _days(whom: WithDay, pulled: _Pulled) -> dated.Days:
    return dated.Days(whom.field, whom.days, whom.yearly, pulled.zone, pulled.clock)


def _occurrences(pulled: _Pulled, work: _Work) -> Iterator[datetime]:
    if not work.left_out:
        return iter((work.at,))
    return takewhile(lambda at: at <= work.at, pulled.trigger.instants(work.after, pulled.clock))


# What becomes of them


def _take(engine: Engine, session: Session, pulled: _Pulled, work: _Work, page: _Page, now: datetime) -> Wakeups:
    """Deals with a page and moves the cursor, together; nothing if another keeper was quicker."""
    cursor = _locked(session, pulled)
    if cursor is None or not _is_at(cursor, work):
        return Wakeups()
    lock_contacts(session, [id for id, _ in page.found])
    concerned = _still(session, pulled, work, page)
    wakeups = Wakeups()
    if work.left_out:
        _leave_out(session, pulled, work, [id for id, _ in concerned], now)
        cursor.left_out = (cursor.left_out or 0) + len(concerned)
    else:
        wakeups = _enrol_all(engine, session, pulled, concerned, work.at, now)
    cursor.worked_at = now
    if page.last_id is not None:
        cursor.occurrence_at, cursor.after_contact = work.at, page.last_id
    else:
        _finish(session, pulled, work, cursor)
    session.add(cursor)
    session.flush()
    return wakeups


def _locked(session: Session, pulled: _Pulled) -> TriggerCursor | None:
    journey_id, name = pulled.key
    mine = select(TriggerCursor).where(col(TriggerCursor.journey_id) == journey_id, col(TriggerCursor.trigger) == name)
    cursor: TriggerCursor | None = session.scalars(lock(session, mine)).first()
    return cursor


def _is_at(cursor: TriggerCursor, work: _Work) -> bool:
    place = (cursor.done_until, cursor.occurrence_at or work.at, cursor.after_contact)
    return place == (work.after, work.at, work.after_contact)


def _enrol_all(
    engine: Engine, session: Session, pulled: _Pulled, concerned: Sequence[tuple[str, date | None]], at: datetime, now: datetime
) -> Wakeups:
    wakeups = Wakeups()
    for contact_id, data in _yet_to_enter(session, pulled, concerned, at):
        entered = enter(engine, session, pulled.live, contact_id, now, data=data, occasion=_occasion(pulled, at), caused_at=at)
        if isinstance(entered, Entered):
            wakeups.add(entered.wakeups)
    return wakeups


def _yet_to_enter(
    session: Session, pulled: _Pulled, concerned: Sequence[tuple[str, date | None]], at: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(contact, what stands for the properties of an event) of those who did not enter for the same day already."""
    before = _entered_before(session, pulled, [id for id, _ in concerned], at)
    for contact_id, day in concerned:
        data = _data(pulled.trigger, at, day)
        if day is None or (contact_id, _said(pulled.trigger, data)) not in before:
            yield contact_id, data


def _data(trigger: ClockTrigger, at: datetime, day: date | None) -> dict[str, Any]:
    """What stands for the properties of an event."""
    return {"scheduled_at": at.isoformat(), **(trigger.properties(day) if day is not None else {})}


def _occasion(pulled: _Pulled, at: datetime) -> str:
    """What those enter together for: one instant of the one clock, or the day, in whatever zone they live."""
    when = at.astimezone(pulled.clock).date().isoformat() if pulled.trigger.each_zone else at.isoformat()
    return f"{pulled.trigger.type}:{_name(pulled.trigger, '')[:24]}:{when}"


def _said(trigger: ClockTrigger, data: dict[str, Any]) -> tuple[Any, ...]:
    """What a run knows of the day that started it."""
    return tuple(data.get(name) for name in trigger.properties(date.min))


def _entered_before(session: Session, pulled: _Pulled, ids: Sequence[str], at: datetime) -> set[tuple[str, tuple[Any, ...]]]:
    """Who entered for the same day already, in the zone they lived in before."""
    if not ids or not pulled.trigger.each_zone:
        return set()
    recent = select(runs.c.contact_id, runs.c.trigger).where(
        runs.c.contact_id.in_(ids), runs.c.journey_id == pulled.live.id, runs.c.started_at > at - TWO_DAYS
    )
    return {(row.contact_id, _said(pulled.trigger, row.trigger)) for row in session.execute(recent)}


def _leave_out(session: Session, pulled: _Pulled, work: _Work, ids: Sequence[str], now: datetime) -> None:
    detail = {"after": work.after.isoformat(), "until": work.at.isoformat()}
    record_refusals(session, pulled.live, ids, Refused("missed", detail), now)


def _finish(session: Session, pulled: _Pulled, work: _Work, cursor: TriggerCursor) -> None:
    if cursor.left_out:
        said = {"after": work.after.isoformat(), "until": work.at.isoformat(), "contacts": cursor.left_out}
        record(session, "keeper", "journey.left_out", f"journey:{pulled.live.id}", {**said, "trigger": pulled.trigger.type})
        log.warning(
            "the journey %s leaves out %d contacts: what a %s trigger missed between %s and %s is too old to be made up for",
            pulled.live.key, cursor.left_out, pulled.trigger.type, said["after"], said["until"],
        )  # fmt: skip
    cursor.done_until, cursor.occurrence_at, cursor.after_contact, cursor.left_out = work.at, None, "", None


def _name(trigger: Trigger, zone: str) -> str:
    """Names the trigger by what it says, so that an unchanged one keeps its cursor across versions."""
    said: dict[str, Any] = trigger.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps([said, zone], sort_keys=True).encode()).hexdigest()
