"""Who hears of an event: the runs that listen get it into their inboxes and are woken, goals are counted. Needs no enrolment, so that runs
themselves may tell of what they do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.enrolment import unrouted
from engine.interpreter.paths import dig
from engine.temporal.wakeups import Wakeups
from journeys.document import Goal
from journeys.rules import matches
from journeys.topics import topics_of
from models import Event, Inbox, Run, Subscription
from storage import tally
from storage.sql import changed_rows, on, table

subscriptions = table(Subscription)
inbox = table(Inbox)
runs = table(Run)

_hears = (
    select(subscriptions.c.run_id)
    .where(subscriptions.c.contact_id == bindparam("contact"), subscriptions.c.topic == bindparam("of_topic"))
    .limit(1)
)
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


def is_heard(engine: Engine, session: Session, contact_id: str, name: str) -> bool:
    """Whether an event of that name would wake or start anything for the contact; if not, it need not be routed."""
    index, topic = engine.index(session), f"event:{name}"
    if topic in index.by_topic or index.entered_by([topic]):
        return True
    return on(session).execute(_hears, {"contact": contact_id, "of_topic": topic}).first() is not None


def listening(session: Session, contact_ids: Sequence[str]) -> dict[str, list[Any]]:
    """By contact, what their runs listen for: rows of run_id, contact_id, topic and why."""
    found: dict[str, list[Any]] = {}
    for row in on(session).execute(_listening, {"contacts": contact_ids}):
        found.setdefault(row.contact_id, []).append(row)
    return found


def deliver(engine: Engine, session: Session, event: Event, listeners: Sequence[Any], now: datetime, *, careful: bool = False) -> Wakeups:
    """Tells a stored event to those of its contact's `listeners` that it concerns. `careful`: see `unrouted.attempt`."""
    wakeups = Wakeups()
    if not listeners:
        return wakeups
    with unrouted.attempt(session, id_of(event), unrouted.INBOX, now, careful):
        wakeups = tell(session, event, listeners, now)
    for run_id in _hoping(event, listeners):
        with unrouted.attempt(session, id_of(event), unrouted.goal_of(run_id), now, careful):
            count_goal(engine, session, run_id, event)
    return wakeups


def id_of(event: Event) -> int:
    assert event.id is not None, "only stored events are routed"
    return event.id


def tell(session: Session, event: Event, listeners: Sequence[Any], now: datetime) -> Wakeups:
    """Puts the event into the inboxes of the runs that wait for it."""
    topics, wakeups = event_topics(event), Wakeups()
    for run_id in sorted({row.run_id for row in listeners if row.topic in topics and row.why != "goal"}):
        put_into_inbox(session, run_id, event, now)
        wakeups.wake(run_id)
    return wakeups


def put_into_inbox(session: Session, run_id: str, event: Event, now: datetime) -> None:
    """Once per run and event, whoever routes it."""
    known = on(session).execute(_in_inbox, {"run": run_id, "event": event.id}).first()
    if known is None:
        on(session).execute(_put_into_inbox, {"run_id": run_id, "event_id": event.id, "arrived_at": now, "consumed": False})


def event_topics(event: Event) -> frozenset[str]:
    """The topics under which runs listen for this event, which is what its name says (`route`)."""
    return topics_of(event.type, event.name, event.properties)


def _hoping(event: Event, listeners: Sequence[Any]) -> list[str]:
    """The runs whose goal may be this event."""
    topics = event_topics(event)
    return [row.run_id for row in listeners if row.why == "goal" and row.topic in topics]


def count_goal(engine: Engine, session: Session, run_id: str, event: Event) -> None:
    """The first fitting event between the run's start and the goal's window counts, however late it arrives."""
    run = on(session).execute(_of_goal, {"of_run": run_id}).one()
    goal = engine.program(session, run.version_id).goal
    if goal is None or not _within(goal, run.since, event) or not (goal.where is None or matches(goal.where, event, event.occurred_at)):
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
