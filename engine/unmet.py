"""Whom a trigger's own condition kept out: counted always, and the last thousand of a journey kept with the values that were seen.

An event that a trigger waits for may come many times a second and not fit. So it is written down once a batch, and the keeper takes
out what is older than the last thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.live import LiveJourney
from journeys.document import AttributeTrigger, EventTrigger, ScoreTrigger, Trigger
from journeys.rules import DictFacts, FieldTerm, ScoreTerm, explain, explain_event
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

    def note(self, session: Session, live: LiveJourney, triggers: Sequence[Trigger], event: Event, now: datetime) -> None:
        """None of the journey's triggers that hang on this event let the contact in."""
        rows = [row for trigger in triggers for row in _terms(session, trigger, event, now)]
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
            tally.append(session, live.id, live.version_number, {("", "refused", "condition"): len(noted)})
        self.by_journey.clear()


def _terms(session: Session, trigger: Trigger, event: Event, now: datetime) -> list[dict[str, Any]]:
    """The terms of a condition with what was found, as `journeys.rules.explain` has them; none where the event is not about it."""
    match trigger:
        case EventTrigger(where=where) if where is not None:
            return explain_event(where, event.properties, now)
        case AttributeTrigger(field=name, to=to, any_value=False) if name in event.properties.get("fields", ()):
            return explain(FieldTerm(field=name, operator="=", value=to), SqlFacts(session, event.contact_id, as_of=now), now)
        case ScoreTrigger(group=group, at_least=least) if event.properties.get("group") == group:
            return _score(group, least, event.properties, now)
    return []


def _score(group: str, least: float, properties: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Nothing for a score that had been high enough before."""
    after = float(properties.get("after") or 0.0)
    return explain(ScoreTerm(score=group, value=least), DictFacts({}, scores={group: after}), now) if after < least else []


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
