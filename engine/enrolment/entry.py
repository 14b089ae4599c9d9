"""Who may enter a journey: the filter, the re-entry policy, the limit of entries and the control group. Reads only.

`engine.enrolment.enrol` asks under the contact's lock before it begins a run, `activities.forecasts` without one to say beforehand what would happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine, LiveJourney
from journeys.draws import draw
from journeys.rules import explain, holds
from journeys.runkeys import is_same
from journeys.values import RunInfo
from models import Contact, Event, Run
from storage.sql import on, table

runs = table(Run)
contacts = table(Contact)

_person = select(contacts.c.id, contacts.c.erased_at, contacts.c.merged_into).where(contacts.c.id == bindparam("contact"))
_same = select(runs.c.id).where(
    runs.c.journey_id == bindparam("journey"), runs.c.trigger_event_id == bindparam("event"), runs.c.contact_id == bindparam("contact")
)
_last = (
    select(runs.c.id, runs.c.started_at, runs.c.ended_at)
    .where(runs.c.journey_id == bindparam("journey"), runs.c.contact_id == bindparam("contact"))
    .order_by(runs.c.started_at.desc())
    .limit(1)
)
_of_key = (  # in no order, so that it goes by the key: one contact may have had ten thousand carts
    select(runs.c.id)
    .where(runs.c.journey_id == bindparam("journey"), runs.c.contact_id == bindparam("contact"), runs.c.run_key == bindparam("key"))
    .limit(1)
)
_causing = (
    select(runs.c.id, runs.c.started_at, runs.c.ended_at, runs.c.trigger)
    .where(
        runs.c.id.in_(bindparam("by", expanding=True)),
        runs.c.journey_id == bindparam("journey"),
        runs.c.contact_id == bindparam("contact"),
    )
    .order_by(runs.c.started_at.desc())
)
_inside = _last.where(runs.c.ended_at.is_(None), runs.c.status != "held_out")
_open = (
    select(runs.c.id, runs.c.trigger)
    .where(
        runs.c.journey_id == bindparam("journey"),
        runs.c.contact_id == bindparam("contact"),
        runs.c.ended_at.is_(None),
        runs.c.status != "held_out",
    )
    .order_by(runs.c.started_at.desc())
    .limit(100)
)


@dataclass(frozen=True, slots=True)
class Refused:
    """The contact stays out. Reasons: no_contact, journey_not_live, filter, no_key, same_trigger, already_entered, still_inside, too_soon,
    key_seen, cap, too_many_hops; and missed, which `enrol` never says: a clock trigger left the contact out."""

    reason: str
    detail: dict[str, Any]


def is_held_out(live: LiveJourney, contact_id: str) -> bool:
    """Whether chance keeps the contact in the control group: the same answer whenever it is asked."""
    return draw("holdout", live.key, contact_id) < live.program.entry.holdout_percent / 100


def refusal(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    properties: dict[str, Any],
    key: str,
    event: Event | None = None,
    besides: int = 0,
    by: tuple[str, ...] = (),
) -> Refused | None:
    """Why the contact may not enter now, or None. The cheapest questions come first. `besides`: entries that count, though no row says so.
    `by`: runs that are inside as long as this lasts, though their rows may have ended (see `enrol`)."""
    if live.state == "stopped":
        return Refused("journey_not_live", {})
    person = on(session).execute(_person, {"contact": contact_id}).first()
    if person is None or person.erased_at or person.merged_into:
        return Refused("no_contact", {})
    entry = live.program.entry
    if entry.filter is not None:
        facts = SqlFacts(session, contact_id, RunInfo("", contact_id, live.key, now, key, properties), as_of=now)
        if not holds(entry.filter, facts, now):
            return Refused("filter", {"rule": explain(entry.filter, facts, now)})
    return (
        _same_trigger(session, live, contact_id, event)
        or _reentry(session, live, contact_id, now, key, properties, by)
        or _cap(session, live, now, besides)
    )


def _same_trigger(session: Session, live: LiveJourney, contact_id: str, event: Event | None) -> Refused | None:
    if event is None or event.id is None:
        return None
    seen = on(session).execute(_same, {"journey": live.id, "event": event.id, "contact": contact_id}).first()
    return Refused("same_trigger", {}) if seen else None


def _reentry(
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    key: str,
    properties: dict[str, Any],
    by: tuple[str, ...],
) -> Refused | None:
    policy = live.program.entry.reentry
    whose = {"journey": live.id, "contact": contact_id}
    causing: Sequence[Any] = on(session).execute(_causing, {**whose, "by": by}).all() if by else []
    if policy.policy == "per_key":
        if not key and isinstance(policy.key, str | None):
            return Refused("no_key", {"key": policy.key})
        seen = on(session).execute(_of_key, {**whose, "key": key}).first() if key else None
        if seen:
            return Refused("key_seen", {"run": seen.id})
        return None if isinstance(policy.key, str | None) else _same_open(session, whose, policy.key, properties, causing)
    last: Any = on(session).execute(_last, whose).first()
    if last is None:
        return None
    inside: Any = causing[0] if causing else on(session).execute(_inside, whose).first()
    last = inside or last
    if policy.policy == "never":
        return Refused("already_entered", {"run": last.id, "at": last.started_at.isoformat()})
    if inside:
        return Refused("still_inside", {"run": last.id})
    if policy.policy == "after_window" and policy.window and last.started_at > now - policy.window:
        return Refused("too_soon", {"run": last.id, "until": (last.started_at + policy.window).isoformat()})
    return None


def _same_open(
    session: Session, whose: dict[str, str], key: Sequence[str], properties: dict[str, Any], causing: Sequence[Any]
) -> Refused | None:
    """An open run that may be about the same thing: it shares no path of the key with this trigger, or one with the same value."""
    for run in chain(causing, on(session).execute(_open, whose)):
        if is_same(key, run.trigger, properties) is not False:
            return Refused("still_inside", {"run": run.id})
    return None


def _cap(session: Session, live: LiveJourney, now: datetime, besides: int) -> Refused | None:
    cap = live.program.entry.cap
    if cap is None:
        return None
    recent = (
        select(runs.c.id)
        .where(runs.c.journey_id == live.id, runs.c.started_at > now - cap.per, runs.c.status != "held_out")
        .limit(cap.count)
    )
    entered = on(session).execute(select(func.count()).select_from(recent.subquery())).scalar_one()
    return Refused("cap", {"count": cap.count}) if entered + besides >= cap.count else None
