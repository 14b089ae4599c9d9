from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.temporal.wakeups import Wakeups


def apply(engine: Engine, session: Session, run: Row[Any], change: Any, now: datetime) -> Wakeups:
    wakeups = Wakeups()
    wakeups.wake(run.id)
    return wakeups
