"""What a walk sets off beyond its own run. Runs that wait are told at once; entries into journeys wait until the walk's own rows are written.

They are values: `engine.enrolment.routing` does them, in the same transaction. So a run needs to know nothing of enrolment, and what fails in
another journey does not hold it up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.temporal.wakeups import Wakeups
from models import Event


@dataclass(frozen=True, slots=True)
class Happened:
    """An event is stored and has been delivered to the runs that wait for it; journeys may begin with it.

    `by`: the runs whose walks led to it in this transaction. To their journeys they are inside until it is over.
    `known`: the runs that could hear of it when it was delivered. One that begins later in the transaction has still to hear of it.
    """

    event: Event
    by: tuple[str, ...]
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A step names a journey (by key) that the contact shall enter, with `data` in place of an event's properties.

    `hops` counts how many journeys' doings led to it; `occasion` and `caused_at` are those of `enrol`.
    """

    journey: str
    contact_id: str
    data: dict[str, Any]
    hops: int
    occasion: str
    caused_at: datetime
    by: tuple[str, ...]


@dataclass(slots=True)
class Caused:
    """Whom to wake after the commit, and what is to be done before it, in order."""

    wakeups: Wakeups = field(default_factory=Wakeups)
    pending: list[Happened | Asked] = field(default_factory=list)

    def add(self, other: Caused) -> None:
        """Takes over what `other` holds."""
        self.wakeups.add(other.wakeups)
        self.pending += other.pending
