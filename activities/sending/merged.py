"""One person with two runs that exclude each other, because two contacts became one: what either has sent counts for the other.

`crm.people.merge` ends the younger of two open runs under the locks of both contacts, and an ended run claims nothing more; where one had come to its
end before, the other goes on. But a call of the run that ended may be on its way at that instant, or have arrived: the run that goes on does
not make it a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy.orm import Session

from activities.sending.ledger import message_id_of
from journeys.compile import Program
from models import Contact, Message, Run
from storage.sql import on, table

messages = table(Message)
runs = table(Run)
contacts = table(Contact)

UNDERWAY = "other_run_in_flight"
AGAIN = timedelta(seconds=10)
"""After which it is asked again what became of the other run's call."""
GONE = ("sent", "delivered", "uncertain")
"""What reached the person, or may have."""


@dataclass(frozen=True, slots=True)
class Made:
    """The other run has made the call: the outlet it left through, and what later nodes may read."""

    outlet: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Underway:
    """The other run's call has no answer yet; nobody is at it any more after `lease_until` (real time), and the keeper finds out."""

    lease_until: datetime


_beside = (
    runs.c.journey_id == bindparam("of_journey"),
    runs.c.run_key == bindparam("of_key"),
    runs.c.id != bindparam("of_run"),
    runs.c.ended_at > bindparam("since"),
)
"""Runs of the journey that were open together with this one, and have ended. For one contact from the beginning the re-entry policy allows none,
unless its window is shorter than a run."""

contact_of = select(contacts, exists().where(runs.c.contact_id == contacts.c.id, *_beside).label("has_others")).where(
    contacts.c.id == bindparam("of_contact")
)
"""The contact, and whether another run stood beside this one: one statement, since it is asked for at every claim."""

_others = select(runs.c.id, runs.c.started_at).where(runs.c.contact_id == bindparam("of_contact"), *_beside)
_calls = select(messages.c.status, messages.c.lease_until, messages.c.answer).where(
    messages.c.id.in_(bindparam("of_messages", expanding=True)), messages.c.status.in_(("claimed", *GONE))
)


def asking_for(run: Row[Any]) -> dict[str, Any]:
    """The parameters of `contact_of` for a locked run."""
    return {"of_contact": run.contact_id, "of_journey": run.journey_id, "of_key": run.run_key, "of_run": run.id, "since": run.started_at}


def window_of(program: Program) -> timedelta | None:
    """The time between two starts from which on one person may have two runs of a journey; None: never."""
    reentry = program.entry.reentry
    return reentry.window if reentry.policy == "after_window" else None


def made_by_others(session: Session, run: Row[Any], node: str, visit: int, window: timedelta | None) -> Made | Underway | None:
    """What runs that this one excludes have made of the same call; what arrived goes before what is on its way.

    `window` as `window_of` says it.
    """
    others = on(session).execute(_others, asking_for(run)).all()
    excluded = [other.id for other in others if window is None or abs(other.started_at - run.started_at) < window]
    same = [message_id_of(f"{other}:{node}:{visit}") for other in excluded]
    underway: Underway | None = None
    for call in on(session).execute(_calls, {"of_messages": same}).all() if same else ():
        if call.status in GONE:
            return Made(call.answer.get("outlet", "sent"), call.answer.get("data", {}))
        underway = Underway(call.lease_until)
    return underway
