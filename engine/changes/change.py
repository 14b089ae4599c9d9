"""What the files here are told beside the change itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.runs.caused import Caused


@dataclass(frozen=True, slots=True)
class Doer:
    """The row of the run whose step it is. `by` are the runs whose walks led to this in the same transaction, this one last."""

    run: Row[Any]
    now: datetime
    by: tuple[str, ...]


Apply = Callable[[Engine, Session, Any, Doer], Caused]
"""(engine, the step's transaction, the change, whose) -> whom to wake after it commits, and which journeys shall be entered."""
