from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from engine.changes.change import Doer
from engine.engine import Engine
from engine.runs.caused import Caused


def apply(engine: Engine, session: Session, change: Any, doer: Doer) -> Caused:
    caused = Caused()
    caused.wakeups.wake(doer.run.id)
    return caused
