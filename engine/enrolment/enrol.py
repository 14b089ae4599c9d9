"""Enrolment: whether a contact enters a journey, and the run that begins if so. One decision, inside the caller's transaction.

A refusal is stored with its reason, so that "why did she not enter?" has an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from engine.engine import Engine, LiveJourney
from engine.enrolment.entry import Refused, is_held_out, refusal
from engine.restored import cause_of, mark_start
from engine.runs.caused import Caused
from engine.runs.delivery import is_heard
from engine.runs.rows import WAIT_FOR_SIGNAL, lock_run, subscription
from engine.runs.walk import walk
from journeys.runkeys import run_key
from models import Contact, Event, Refusal, Run, Subscription, new_id
from storage import origin, tally
from storage.events import insert_events
from storage.run_rows import deliver, milestone
from storage.sql import on, table

runs = table(Run)
contacts = table(Contact)
refusals = table(Refusal)
subscriptions = table(Subscription)

_runs_since = select(func.count()).where(
    runs.c.journey_id == bindparam("journey"), runs.c.contact_id == bindparam("contact"), runs.c.started_at >= bindparam("since")
)
_insert_run = insert(runs)
_insert_refusal = insert(refusals)


MAX_HOPS = origin.MAX_HOPS


@dataclass(frozen=True, slots=True)
class Begun:
    """The contact is in, and its run's first walk is written. What that has set off is still to be done (`engine.enrolment.routing`).

    A held-out contact has a run that never moves (`held_out`) and sets nothing off.
    """

    run_id: str
    caused: Caused
    held_out: bool = False


def enrol(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    *,
    event: Event | None = None,
    data: dict[str, Any] | None = None,
    hops: int = 0,
    occasion: str = "",
    caused_at: datetime | None = None,
    by: tuple[str, ...] = (),
) -> Begun | Refused:
    """Decides, and if the contact may enter writes the run with its first instruction. The caller holds the contact's lock.

    `data` stands in for the properties of an event when a person, the API or another journey starts the run.
    `by`: the runs whose walks led to it; to their journeys the contact is inside, though they may have ended with just these walks.
    `occasion` names what lets others enter together with this contact: of their messages one goes to a mailbox (decision 014).
    `caused_at`: when what starts the run may have happened first; None is the event's time, or now.
    """
    with engine.tracing.span("enrol", journey=live.key) as span:
        outcome = _decide(engine, session, live, contact_id, now, event, data, hops, occasion, caused_at, by)
        span.note(outcome=outcome.reason if isinstance(outcome, Refused) else "entered")
    return outcome


def _decide(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    event: Event | None,
    data: dict[str, Any] | None,
    hops: int,
    occasion: str,
    caused_at: datetime | None,
    by: tuple[str, ...],
) -> Begun | Refused:
    properties = event.properties if event is not None and data is None else data or {}
    key = run_key(live.program.entry.reentry.key, properties)
    hops = max(hops, event.hops if event is not None else 0)
    refused = refusal(engine, session, live, contact_id, now, properties, key, event, by=by)
    if refused is None and hops > MAX_HOPS:
        refused = Refused("too_many_hops", {"hops": hops})
    if refused is not None:
        _record(session, live, contact_id, event, refused, now)
        return refused
    held_out = is_held_out(live, contact_id)
    occasion = occasion or _day_of_event(session, live, contact_id, now, event)
    if caused_at is None:
        caused_at = cause_of(engine, session, event) if event is not None else now
    undrawn = event is None or event.type == "system"  # of another, its request has drawn whether it is recorded
    with engine.tracing.span("begin run", root=undrawn, journey=live.key) as span:
        entered = _begin(engine, session, live, contact_id, now, properties, key, event, hops, held_out, occasion, caused_at, by)
        span.note(run_id=entered.run_id)
    return entered


def _day_of_event(session: Session, live: LiveJourney, contact_id: str, now: datetime, event: Event | None) -> str:
    """What runs share that events of one day (UTC) start: two accounts with one address, each with its own event, get one message.

    The second run of the same contact on that day is another occasion. Runs by key (a cart, an order) share nothing with each other.
    """
    policy = live.program.entry.reentry
    if event is None or policy.policy == "per_key":
        return ""
    often = policy.policy != "never" and (policy.window is None or policy.window < timedelta(days=1))
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    whose = {"journey": live.id, "contact": contact_id, "since": since}
    return f"day:{since:%Y-%m-%d}:{on(session).execute(_runs_since, whose).scalar_one() if often else 0}"


def _record(session: Session, live: LiveJourney, contact_id: str, event: Event | None, refused: Refused, now: datetime) -> None:
    if refused.reason != "no_contact":
        on(session).execute(
            _insert_refusal,
            {
                "journey_id": live.id,
                "contact_id": contact_id,
                "event_id": event.id if event is not None else None,
                "reason": refused.reason,
                "detail": refused.detail,
                "refused_at": now,
            },
        )
        tally.append(session, live.id, live.version_number, {("", "refused", refused.reason): 1}, now)


def record_refusals(session: Session, live: LiveJourney, contact_ids: Sequence[str], refused: Refused, now: datetime) -> None:
    """The same refusal for many contacts, who exist."""
    if not contact_ids:
        return
    common = {"journey_id": live.id, "event_id": None, "reason": refused.reason, "detail": refused.detail, "refused_at": now}
    on(session).execute(_insert_refusal, [{**common, "contact_id": id} for id in contact_ids])
    tally.append(session, live.id, live.version_number, {("", "refused", refused.reason): len(contact_ids)}, now)


def _begin(
    engine: Engine,
    session: Session,
    live: LiveJourney,
    contact_id: str,
    now: datetime,
    properties: dict[str, Any],
    key: str,
    event: Event | None,
    hops: int,
    held_out: bool,
    occasion: str,
    caused_at: datetime,
    by: tuple[str, ...],
) -> Begun:
    run_id = new_id()
    on(session).execute(
        _insert_run,
        {
            "id": run_id,
            "journey_id": live.id,
            "version_id": live.version_id,
            "version_number": live.version_number,
            "contact_id": contact_id,
            "run_key": key,
            "trigger_event_id": event.id if event is not None else None,
            "trigger": properties,
            "occasion": occasion,
            "hops": hops,
            "status": "held_out" if held_out else "active",
            "step": 0,
            "node": "",
            "state": {},
            "instruction": WAIT_FOR_SIGNAL,
            "reason": "held_out" if held_out else "",
            "error": "",
            "started_at": now,
            "since": min(event.occurred_at, now) if event is not None else None,
            "updated_at": now,
            "ended_at": now if held_out else None,
            "trace": engine.tracing.here(),
        },
    )
    mark_start(engine, session, run_id, live.version_id, caused_at)
    _subscribe(session, live, run_id, contact_id, now, held_out)
    if event is not None and (live.exit_topics or live.program.goal):
        deliver(session, contact_id, contact_id, now, only_run=run_id)  # what happened after a trigger may have reached us before it
    tally.append(session, live.id, live.version_number, {("", "held_out" if held_out else "runs", ""): 1}, now)
    if held_out:
        return Begun(run_id, Caused(), held_out=True)
    heard = is_heard(engine, session, contact_id, "Journey Entered")
    entered = milestone(
        "Journey Entered", run_id, contact_id, live.key, live.version_number, now, hops=hops, heard=heard, trace=engine.tracing.here()
    )
    insert_events(session, [entered])
    walked = walk(engine, session, lock_run(session, run_id), now, by=by)
    if walked.instruction["op"] != "end":
        walked.caused.wakeups.start(run_id, live.key, walked.instruction)
    return Begun(run_id, walked.caused)


def _subscribe(session: Session, live: LiveJourney, run_id: str, contact_id: str, now: datetime, held_out: bool) -> None:
    """What the run listens for all its life; a held-out one only counts its goal, as the control group."""
    rows = [] if held_out else [subscription(run_id, contact_id, topic, "exit") for topic in sorted(live.exit_topics)]
    if goal := live.program.goal:
        rows.append(subscription(run_id, contact_id, f"event:{goal.event}", "goal", now + goal.window))
    if rows:
        on(session).execute(insert(subscriptions), rows)
