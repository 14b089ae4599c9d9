"""Whom a trigger's own condition kept out: counted always, and the last thousand of a journey kept with the values that were seen.

An event that a trigger waits for may come many times a second and not fit. So it is written down once a batch, and the keeper takes
out what is older than the last thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from engine.engine import LiveJourney
from journeys.rules.facts import Facts
from journeys.triggers import Trigger
from models import UNMET, Event, Journey, Refusal
from storage import tally
from storage.sql import on, table

KEPT = 1_000
"""Refusals of this reason that a journey keeps."""
FORGOTTEN_AT_ONCE = 5_000

refusals = table(Refusal)
journeys = table(Journey)
_insert = insert(refusals)
_published = select(journeys.c.id).where(journeys.c.live_version.is_not(None))
_newest = (
    select(refusals.c.id)
    .where(UNMET, refusals.c.journey_id == bindparam("of_journey"))
    .order_by(refusals.c.id.desc())
    .limit(1)
    .offset(KEPT)
)
_older = (
    select(refusals.c.id)
    .where(UNMET, refusals.c.journey_id == bindparam("of_journey"), refusals.c.id <= bindparam("upto"))
    .order_by(refusals.c.id)
    .limit(FORGOTTEN_AT_ONCE)
)


@dataclass(slots=True)
class Unmet:
    """What a batch of events came to, until it is written."""

    by_journey: dict[str, tuple[LiveJourney, list[dict[str, Any]]]] = field(default_factory=dict)

    def note(self, live: LiveJourney, triggers: Sequence[Trigger], event: Event, facts: Facts, now: datetime) -> None:
        """None of the journey's triggers that hang on this event let the contact in."""
        rows = [row for trigger in triggers for row in trigger.unmet(event, facts, now)]
        if not rows:
            return
        _, noted = self.by_journey.setdefault(live.id, (live, []))
        noted.append(
            {
                "journey_id": live.id,
                "contact_id": event.contact_id,
                "event_id": event.id,
                "reason": "condition",
                "detail": {"event": event.name, "rule": rows},
                "refused_at": now,
            }
        )

    def write(self, session: Session) -> None:
        for live, noted in self.by_journey.values():
            on(session).execute(_insert, noted[-KEPT:])
            tally.append(session, live.id, live.version_number, {("", "refused", "condition"): len(noted)}, noted[-1]["refused_at"])
        self.by_journey.clear()


def with_many(session: Session) -> list[str]:
    """The journeys that keep more than they need."""
    published = on(session).execute(_published).scalars().all()
    return [id for id in published if on(session).execute(_newest, {"of_journey": id}).first() is not None]


def forget_old(session: Session, journey_id: str) -> bool:
    """Takes out the oldest beyond the last thousand; whether there may be more."""
    newest = on(session).execute(_newest, {"of_journey": journey_id}).scalar()
    if newest is None:
        return False
    old = list(on(session).execute(_older, {"of_journey": journey_id, "upto": newest}).scalars())
    on(session).execute(delete(refusals).where(refusals.c.id.in_(old)))
    return len(old) == FORGOTTEN_AT_ONCE
