"""How many were in segments at the end of each of the last days (UTC). Read from what entered and left by day, however many members there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import SegmentDay
from storage.sql import on, table

DAYS = 30


def growth(session: Session, counts: Mapping[int, int], last: date, days: int = DAYS) -> dict[int, list[int]]:
    """Segment id -> members at the end of each day, the oldest first: `days` before `last`, and `last` itself. `counts`: id -> members now."""
    rows = table(SegmentDay)
    first = last - timedelta(days=days - 1)
    asked = select(rows.c.segment_id, rows.c.day, rows.c.entered - rows.c.left).where(rows.c.segment_id.in_([*counts]), rows.c.day >= first)
    grown: dict[int, dict[date, int]] = defaultdict(dict)
    for id, day, more in on(session).execute(asked):
        grown[id][day] = more
    return {id: _back(count, grown[id], last, days) for id, count in counts.items()}


def _back(count: int, grown: Mapping[date, int], last: date, days: int) -> list[int]:
    """From today's number back, a day at a time."""
    found = [count]
    for n in range(days):
        found.append(found[-1] - grown.get(last - timedelta(days=n), 0))
    return found[::-1]
