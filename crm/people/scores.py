"""Scores: one number per contact and group, with the history of every change.

A score is the sum of its history's points, so a merge of two contacts adds their scores up.
"""

from __future__ import annotations

import math
from datetime import datetime

from sqlalchemy.orm import Session

from journeys.errors import Invalid
from models import Contact, Event, Score, ScoreChange
from storage.events import append_event
from storage.locks import lock_contact

MAX_SCORE = 1_000_000.0
"""Scores stay within ± this."""


def change_score(
    session: Session,
    contact: str | Contact,
    group: str,
    points: float,
    absolute: bool,
    reason: str,
    now: datetime,
    hops: int = 0,
    source: str = "system",
    why: str = "",
) -> Event | None:
    """Adds `points` to the contact's score in `group`, or sets it to `points` when `absolute`. `why`: as in `crm.scoring.booking`.

    Returns the event `Score Changed` {group, before, after}, None when the value stays as it is.

    Raises:
        Invalid: `points` is not a finite number, or `group` is empty or longer than 64 characters.
        NotFound: no such contact.
    """
    if not math.isfinite(points):
        raise Invalid("Expected a finite number of points.")
    if not 0 < len(group) <= 64:
        raise Invalid("Expected the name of a score group with 1 to 64 characters.")
    contact_id = lock_contact(session, contact).id
    row = session.get(Score, (contact_id, group)) or Score(contact_id=contact_id, score_group=group, value=0.0, changed_at=now)
    before = row.value
    after = max(-MAX_SCORE, min(MAX_SCORE, points if absolute else before + points))
    if after == before:
        return None
    row.value, row.changed_at = after, now
    session.add(row)
    session.add(
        ScoreChange(
            contact_id=contact_id, score_group=group, points=after - before, value=after, reason=reason[:200], why=why, changed_at=now
        )
    )
    properties = {"group": group, "before": before, "after": after}
    return append_event(session, contact_id, "system", "Score Changed", properties, now, source=source, hops=hops)
