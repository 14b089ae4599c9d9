"""After a change: what it set off is routed in the same transaction, and runs are woken after the commit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from engine.live import Engine
from engine.router import route
from engine.wakeups import Wakeups
from models import Event


def routed(engine: Engine, session: Session, events: Iterable[Event | None], now: datetime) -> Wakeups:
    """Routes events that a change has just stored and marks them, so that the keeper does not do it again. None stands for no change."""
    stored = [event for event in events if event is not None]
    if not stored:
        return Wakeups()
    wakeups = route(engine, session, stored, now)
    for event in stored:
        event.routed = True
    session.flush()
    return wakeups
