"""Who may leave today: the daily limits and warm-ups of an account and of the sender's domain (`workspace.sending_plans`), as one process asks for them.

A process takes several of a day's messages at once, so that its workers do not queue for one row, and hands them out to calls that the gate has let
through. What it holds when it dies is not sent that day: never too many, at worst a few less. Marketing that finds no room waits for the same hour of
the next day that has some; a transactional message is counted and leaves. Real time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session

from models import Database
from storage.tally import day_of
from workspace import sending_plans
from workspace.sending_plans import Plan

FULL = "daily_limit"
"""Why a message waits: no more may leave today."""
KNOWN_FOR = timedelta(seconds=1)
BLOCK = 50
"""At most so many of a day's messages are taken at once, and no more than a hundredth of them."""


@dataclass(slots=True)
class Quotas:
    """The plans as one process sees them; its threads share it. `now` is real time."""

    db: Database
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _plans: Mapping[str, Plan] = field(default_factory=dict)
    _looked_at: datetime | None = None
    _left: dict[tuple[str, date, bool], int] = field(default_factory=dict)
    """Taken of a day's messages, and not handed out yet. What is kept for those that were put off (true) nobody else gets."""
    _full_at: dict[str, datetime] = field(default_factory=dict)
    """Name -> when it was last found to have no room."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Reads the plans, once a second at most."""
        now = self.now()
        if self._looked_at is None or not timedelta(0) <= now - self._looked_at < KNOWN_FOR:
            with self.db.read() as session:
                self._plans = sending_plans.known(session)
            self._looked_at = now

    def use(self, names: Sequence[str], *, was_planned: bool = False) -> bool:
        """Whether a message may leave now, under every name that has a plan; False: fetch some first, outside of any transaction. `was_planned`: as for
        `fetch`."""
        limited = self._limited(names)
        if not limited:
            return True
        day = day_of(self.now())
        with self._lock:
            if not all(self._left.get((name, day, was_planned), 0) for name in limited):
                return False
            for name in limited:
                self._left[name, day, was_planned] -= 1
            return True

    def fetch(self, names: Sequence[str], *, was_planned: bool) -> bool:
        """Takes some of the day's messages where this process holds none; whether all of them have room. `was_planned`: for a message that was put
        off to this day, or an earlier one."""
        day = day_of(self.now())
        return all(self._has(name, plan, day, was_planned=was_planned) for name, plan in sorted(self._limited(names).items()))

    def is_full(self, name: str) -> bool:
        """Whether the day had no room under the name a moment ago."""
        full_at = self._full_at.get(name)
        return full_at is not None and timedelta(0) <= self.now() - full_at < KNOWN_FOR and bool(self._limited((name,)))

    def count(self, session: Session, names: Sequence[str]) -> None:
        """Counts a message that leaves in any case."""
        for name in sorted(self._limited(names)):
            sending_plans.count(session, name, day_of(self.now()), 1)

    def plan(self, session: Session, names: Sequence[str], latest: timedelta) -> datetime | None:
        """When a message that has no room today may leave: at this hour of the next day that has some; None: that is later than in `latest`."""
        now, today = self.now(), day_of(self.now())
        day = sending_plans.plan_ahead(session, sorted(self._limited(names).items()), today, today + timedelta(days=latest.days))
        return now + (day - today) if day is not None else None

    def _has(self, name: str, plan: Plan, day: date, *, was_planned: bool) -> bool:
        with self._lock:
            if self._left.get((name, day, was_planned), 0):
                return True
        wanted = max(1, min(BLOCK, sending_plans.limit_on(plan, day) // 100))
        with self.db.write() as session:
            got = sending_plans.take(session, name, plan, day, wanted, was_planned=was_planned)
        with self._lock:
            self._left = {key: left for key, left in self._left.items() if key[1] >= day}
            self._left[name, day, was_planned] = self._left.get((name, day, was_planned), 0) + got
            if not got:
                self._full_at[name] = self.now()
        return got > 0

    def _limited(self, names: Sequence[str]) -> dict[str, Plan]:
        known = self._plans
        return {name: known[name] for name in names if name in known} if known else {}
