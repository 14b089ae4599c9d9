"""Who changes a contact, and when: what every file here is told beside the change itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models import Event


@dataclass(frozen=True, slots=True)
class Cause:
    """The run that changes its contact, or, with None, what `by` names (`score:leads`). `hops` counts how many journeys' doings led to it, this one
    included."""

    run_id: str | None
    contact_id: str
    hops: int
    now: datetime
    by: str = ""

    @property
    def source(self) -> str:
        """How events and the timeline name it."""
        return self.by or f"journey:{self.run_id}"


Apply = Callable[[Session, Any, Cause], Iterable[Event | None]]
"""Writes a change in the caller's transaction, under the contact's lock; the events that come of it are stored and not yet routed."""
