"""What a threshold does when somebody reaches it: steps of journeys that act on our own tables, decided and written as those of a run are.

Each action has a savepoint of its own: one that cannot be done (a rotation that is gone, a contact with no room for a tag) is told in the event and
keeps nobody from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from crm import changes
from crm.rules.sql_facts import SqlFacts
from journeys.errors import PfadwerkError
from journeys.scoring import Notify, Step, Threshold
from journeys.values import Context, Leave, RunInfo
from models import Event, new_id
from storage.origin import MAX_HOPS
from storage.segment_marks import KnownModel
from storage.sql import savepoint
from workspace.settings import WorkCalendar, load


@dataclass(frozen=True, slots=True)
class Start:
    """A journey that a contact shall enter; `occasion` names the threshold and the day."""

    contact_id: str
    journey: str
    data: dict[str, Any]
    occasion: str
    hops: int


@dataclass(slots=True)
class Performed:
    """The kinds of what was done and of what could not be (with the error's code); events are stored and not yet routed.
    `notify`: the team shall hear of it."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    notify: bool = False


def perform(session: Session, model: KnownModel, threshold: Threshold, contact_id: str, now: datetime, hops: int) -> Performed:
    """Does all that a threshold asks for, once: the caller books the crossing in the same transaction, under the contact's lock. Nothing, where so
    many `hops` led here that thresholds seem to set each other off endlessly."""
    if hops > MAX_HOPS:
        return Performed(failed=[f"{action.kind}: too_many_hops" for action in threshold.actions])
    performed = Performed()
    for number, action in enumerate(threshold.actions):
        if isinstance(action, Notify):
            performed.notify = True
            performed.done.append(action.kind)
            continue
        try:
            with savepoint(session):
                events, starts = _one(session, model, threshold, number, action, contact_id, now, hops)
        except PfadwerkError as error:
            performed.failed.append(f"{action.kind}: {error.code}")
            continue
        performed.done.append(action.kind)
        performed.events += events
        performed.starts += starts
    return performed


def _one(
    session: Session, model: KnownModel, threshold: Threshold, number: int, action: Step, contact_id: str, now: datetime, hops: int
) -> tuple[list[Event], list[Start]]:
    by = f"score:{model.key}"
    once = f"{by}:{new_id()}"  # this crossing is booked once; whatever is made for it has its name
    facts = SqlFacts(session, contact_id, as_of=now)
    run = RunInfo(once, contact_id, by, now)
    answer = action.enter(Context(facts, now, run, str(number), 1, now, ZoneInfo(load(session, WorkCalendar).zone)))
    assert isinstance(answer, Leave), "what a threshold may do never waits"
    cause, events, starts = changes.Cause(None, contact_id, hops, now, by), list[Event](), list[Start]()
    for change in answer.changes:
        if started := change.starts():
            journey, data = started
            starts.append(Start(contact_id, journey, dict(data), f"score:{model.id}:{threshold.id}:{now:%Y-%m-%d}", hops))
        else:
            events += [event for event in changes.APPLY[change.change](session, change, cause) if event is not None]
    for event in events:
        event.routed = True
    return events, starts
