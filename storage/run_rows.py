"""What a merge or an erasure does to runs, in the form the engine writes: ended rows, inbox rows, goals reached.

These are facts in the database only: the caller wakes the runs, and the keeper does if that is lost. All other moves of a run
belong to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import and_, delete, false, func, literal, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.document import Goal
from journeys.rules import matches
from journeys.rules.fields import path_of, read
from models import Event, Inbox, Journey, Run, Subscription, Trail, Version, lock
from storage import held_messages, tally
from storage.events import event_row, genuine, insert_events
from storage.sql import upsert


def open_runs(session: Session, contact_ids: Iterable[str]) -> list[Run]:
    """The open runs of the contacts (whose rows the caller holds), locked, oldest first."""
    statement = select(Run).where(col(Run.contact_id).in_(sorted(set(contact_ids))), col(Run.ended_at).is_(None)).order_by(col(Run.id))
    runs = session.scalars(lock(session, statement), execution_options={"populate_existing": True})
    return sorted(runs, key=lambda run: (run.started_at, run.id))


def milestone(
    name: str,
    run_id: str,
    contact_id: str,
    journey: str,
    version: int,
    now: datetime,
    *,
    reason: str = "",
    hops: int = 0,
    heard: bool = False,
    trace: str | None = None,
) -> dict[str, Any]:
    """The row of *Journey Entered* or *Journey Ended*, once a run. If somebody hears it the keeper routes it."""
    properties = {"journey": journey, "version": version, "run_id": run_id, **({"reason": reason} if reason else {})}
    row = event_row(
        "system",
        name,
        properties,
        received_at=now,
        source="system",
        message_id=f"{name}:{run_id}",
        hops=hops + 1,
        routed=not heard,
        trace=trace,
    )
    return {**row, "contact_id": contact_id}


def _nobody(_contact_id: str) -> bool:
    return False


def end_runs(session: Session, runs: Iterable[Run], reason: str, now: datetime, *, is_heard: Callable[[str], bool] = _nobody) -> list[str]:
    """Ends open runs at once, wherever they wait; returns their ids. After it nothing is claimed for them; their goals still count.

    What they held is skipped, and what stood in line behind it is due to be asked for again. `is_heard` tells for a contact whether anybody waits for *Journey Ended*.
    """
    closing = list(runs)
    keys = dict(session.execute(select(Journey.id, Journey.key).where(col(Journey.id).in_({run.journey_id for run in closing}))).all())
    ended = []
    for run in closing:
        run.step += 1
        run.instruction = {"op": "end", "step": run.step, "reason": reason}
        run.status, run.reason, run.ended_at, run.updated_at, run.due_at = "ended", reason, now, now, None
        session.add(run)
        session.add(
            Trail(
                run_id=run.id,
                step=run.step,
                seq=0,
                version_id=run.version_id,
                at=now,
                node=run.node,
                what="ended",
                detail={"reason": reason},
            )
        )
        counted: dict[tally.Key, int] = {(run.node, tally.WAITING, ""): -bool(run.node), ("", "ended", ""): 1}
        tally.append(session, run.journey_id, run.version_number, counted, now)
        ended.append(run.id)
    session.flush()
    for run in closing:
        held_messages.close(session, run, "run_ended", now)
    insert_events(
        session,
        [
            milestone(
                "Journey Ended",
                run.id,
                run.contact_id,
                keys[run.journey_id],
                run.version_number,
                now,
                reason=reason,
                hops=run.hops,
                heard=is_heard(run.contact_id),
            )
            for run in closing
        ],
    )
    session.execute(delete(Subscription).where(col(Subscription.run_id).in_(ended), col(Subscription.why) != "goal"))
    session.flush()
    return ended


def surplus(session: Session, runs: Iterable[Run]) -> list[Run]:
    """The younger of open runs that exclude each other under their journey's re-entry policy; `runs` come oldest first."""
    runs = list(runs)
    documents = _documents(session, {run.version_id for run in runs})
    elder: dict[tuple[str, str], Run] = {}
    younger = []
    for run in runs:
        first = elder.setdefault((run.journey_id, run.run_key), run)
        window = _window(documents[run.version_id])
        if first is not run and (window is None or run.started_at < first.started_at + window):
            younger.append(run)
    return younger


def deliver(session: Session, listener_id: str, doer_id: str, now: datetime, *, only_run: str | None = None) -> list[str]:
    """Lets the runs of `listener` (or one of them) hear what `doer` did since they started: into their inboxes, or as a goal reached.

    An event that a run has heard is not delivered again, and the one that started it never. Returns the runs that have something in their
    inbox now.
    """
    heard = session.execute(
        select(Subscription.run_id, Subscription.why, Event)
        .join(Run, col(Run.id) == col(Subscription.run_id))
        .join(
            Event,
            and_(
                col(Event.contact_id) == doer_id,
                literal("event:") + col(Event.name) == col(Subscription.topic),
                genuine(Event),
                col(Event.occurred_at) >= func.coalesce(col(Run.since), col(Run.started_at)),
            ),
        )
        .where(
            col(Subscription.contact_id) == listener_id,
            col(Event.backfill) == false(),
            or_(col(Subscription.until).is_(None), col(Subscription.until) >= col(Event.occurred_at)),
            or_(col(Run.trigger_event_id).is_(None), col(Run.trigger_event_id) != col(Event.id)),
            *([col(Subscription.run_id) == only_run] if only_run else []),
        )
        .order_by(col(Event.occurred_at), col(Event.id))
    ).all()
    _reach_goals(session, [(run_id, event) for run_id, why, event in heard if why == "goal"])
    waiting = sorted({(run_id, event.id) for run_id, why, event in heard if why != "goal"})
    if waiting:
        rows = [{"run_id": run_id, "event_id": event_id, "arrived_at": now, "consumed": False} for run_id, event_id in waiting]
        session.execute(upsert(session, Inbox).on_conflict_do_nothing(index_elements=["run_id", "event_id"]), rows)
    return sorted({run_id for run_id, _ in waiting})


def _reach_goals(session: Session, heard: list[tuple[str, Event]]) -> None:
    """The first fitting event counts, as it does when the engine routes it."""
    runs = {run.id: run for run in session.scalars(select(Run).where(col(Run.id).in_({run_id for run_id, _ in heard})))}
    documents = _documents(session, {run.version_id for run in runs.values()})
    for run_id, event in heard:
        run = runs[run_id]
        raw = documents[run.version_id].get("goal")
        goal = Goal.model_validate(raw) if raw else None
        if goal is None or run.goal_at is not None or not _counts(goal, run, event):
            continue
        run.goal_at, run.goal_event_id = event.occurred_at, event.id
        worth = read(event.properties, path_of(goal.value)) if goal.value else None
        run.goal_value = float(worth) if isinstance(worth, int | float) and not isinstance(worth, bool) else None
        session.add(run)
        what = "held_out_goal" if run.status == "held_out" else "goal"
        tally.append(session, run.journey_id, run.version_number, {("", what, ""): 1}, event.occurred_at)
    session.flush()


def _counts(goal: Goal, run: Run, event: Event) -> bool:
    since = run.since or run.started_at
    in_time = since <= event.occurred_at <= since + goal.window
    return event.name == goal.event and in_time and (goal.where is None or matches(goal.where, event, event.occurred_at))


def _documents(session: Session, version_ids: set[str]) -> dict[str, dict[str, Any]]:
    versions = session.scalars(select(Version).where(col(Version.id).in_(sorted(version_ids))))
    return {version.id: version.document for version in versions}


def _window(document: Mapping[str, Any]) -> timedelta | None:
    """The time after which a second open run with the same key is allowed; None: never."""
    reentry = (document.get("entry") or {}).get("reentry") or {}
    after = reentry.get("window") if reentry.get("policy") == "after_window" else None
    return None if after is None else _span.validate_python(after)


_span: TypeAdapter[timedelta] = TypeAdapter(timedelta)
