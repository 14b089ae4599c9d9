"""A pace that all processes keep together: so many turns a second under one name, each given away once.

The row says until when the turns are given away (real time); whoever needs some moves that on, several at once where the pace is quick. Nothing is
saved up while nobody comes.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from models import Lease
from storage.sql import upsert

PREFIX = "pace:"


def take_turns(session: Session, name: str, count: int, every: timedelta, most: timedelta, now: datetime) -> timedelta:
    """Takes the next `count` turns of `name`, one `every` so long. Returns how long it is until the first of them; more than `most`: none was taken."""
    key = PREFIX + hashlib.sha256(name.encode()).hexdigest()[:40]
    session.execute(upsert(session, Lease).values(name=key, holder="", until=now).on_conflict_do_nothing(index_elements=["name"]))
    row = session.get_one(Lease, key, with_for_update=True)
    first = max(row.until, now)
    if first - now <= most:
        row.until = first + count * every
    return first - now
