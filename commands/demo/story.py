"""Time passes: the product's own engine works through weeks in seconds, with a clock that jumps from one event to the next.

Stands where Temporal, the keeper and the recipients stand. Every row is written by the code that writes it in earnest (`enrol`, `step`,
`perform`, `route`, the keeper's duties); only who reads a mail, and when, is made up (`Readers`). Nothing leaves: every channel is the outbox.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, Protocol, cast

from sqlalchemy import func
from sqlmodel import col, select

from activities.providers.outbox import Outbox
from activities.providers.provider import AddressDead, Answer, Outgoing
from activities.sending.effect import Effects, perform
from crm.sales.tasks import OPEN
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.interpreter.state import Instruction
from engine.keeper import Keeper
from engine.runs.step import step
from engine.temporal.wakeups import Wakeups
from models import Database, Event, Run, Task
from storage.events import append_event

Happening = Callable[[], None]
NO_SUCH_MAILBOX = "smtp_550_5.1.1"


@dataclass(slots=True)
class Now:
    """The instant that the story has come to."""

    at: datetime


@dataclass(frozen=True)
class StoryClock(Clock):
    """The workspace's clock, but for the present: that is the story's, in either time, so that the audit trail tells it as it was."""

    story: Now = field(kw_only=True)

    def now(self) -> datetime:
        return self.story.at

    def real_now(self) -> datetime:
        return self.to_real(self.story.at)


class Readers(Protocol):
    """Whom mails reach."""

    def has_mailbox(self, address: str) -> bool:
        """Whether anybody is there; else the mail bounces."""

    def gets(self, mail: Outgoing) -> None:
        """A mail has arrived."""


class Postbox(Outbox):
    """The outbox, and behind it readers: some open, some click, and some addresses are gone."""

    def __init__(self, db: Database, now: Now, readers: Readers) -> None:
        super().__init__(db, lambda: now.at)
        self._readers = readers

    def send(self, message: Outgoing) -> Answer:
        if not self._readers.has_mailbox(message.recipient):
            raise AddressDead(NO_SUCH_MAILBOX)
        answer = super().send(message)
        self._readers.gets(message)
        return answer


@dataclass
class Story:
    """What is to happen, in the order of time. `engine` has a `StoryClock` over `now`."""

    engine: Engine
    now: Now
    effects: Effects
    keeper: Keeper = field(init=False)
    _ahead: list[tuple[datetime, int, Happening]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _follows: dict[str, Instruction] = field(default_factory=dict)
    """Run -> what its workflow would do now."""
    _next_late: datetime | None = None
    """When the keeper looks at late tasks next."""

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.engine, cast(Any, None))

    def at(self, moment: datetime, happening: Happening) -> None:
        """Something happens then; at once, if that is past."""
        heapq.heappush(self._ahead, (max(moment, self.now.at), next(self._number), happening))

    def tell(self, until: datetime) -> None:
        """Lets everything happen that is due by `until`; what would happen later does not."""
        while self._ahead and self._ahead[0][0] <= until:
            self.now.at, _, happening = heapq.heappop(self._ahead)
            happening()
        self.now.at = until

    def happens(self, contact_id: str, name: str, properties: Mapping[str, Any], source: str) -> None:
        """An event of the contact comes in."""
        with self.engine.db.write() as session:
            event = append_event(session, contact_id, "track", name, properties, self.now.at, source=source, routed=True)
            wakeups = route(self.engine, session, [event], self.now.at)
        self.wake(wakeups)

    def changes(self, change: Callable[[Any], Event | None]) -> None:
        """Something about a contact is written; what it sets off follows."""
        with self.engine.db.write() as session:
            event = change(session)
            if event is None:
                return
            event.routed = True
            wakeups = route(self.engine, session, [event], self.now.at)
        self.wake(wakeups)

    def wake(self, wakeups: Wakeups) -> None:
        """Runs begin, and runs that are woken look again."""
        for start in wakeups.starts.values():
            self._follow(start.run_id, start.instruction)
        for run_id in sorted(wakeups.runs):
            self._step(run_id)

    def look_after_tasks(self) -> None:
        """The keeper's look at the next task that may be late."""
        statement = select(func.min(col(Task.due_at))).where(col(Task.escalated_at).is_(None), col(Task.state).in_(OPEN))
        with self.engine.db.read() as session:
            due_at = session.scalar(statement)
        if due_at is not None and due_at != self._next_late:
            self._next_late = due_at
            self.at(due_at, self._escalate)

    def pull_clock_triggers(self) -> None:
        """The keeper's look at schedules and dates."""
        self.wake(self.keeper.pull_clock_triggers())

    def _escalate(self) -> None:
        self.keeper.escalate_tasks()
        self.wake(self.keeper.route_unrouted())
        self.look_after_tasks()

    def _follow(self, run_id: str, instruction: Instruction) -> None:
        """Plays the run's workflow until it waits for a time to come."""
        self._follows[run_id] = instruction
        while instruction["op"] == "do":
            self._follows[run_id] = instruction = self._perform(run_id, instruction)
        if instruction["op"] == "wait" and (until := instruction.get("until")) is not None:
            self.at(self.engine.clock.to_virtual(datetime.fromisoformat(until)), partial(self._wait_is_over, run_id, instruction))

    def _wait_is_over(self, run_id: str, waited: Instruction) -> None:
        if self._follows[run_id] is not waited:
            return  # it went on meanwhile
        if "then" in waited:
            self._follow(run_id, self._perform(run_id, waited))
        else:
            self._step(run_id)

    def _perform(self, run_id: str, instruction: Instruction) -> Instruction:
        call = instruction["then"]
        moved = perform(self.effects, call["activity"], run_id, instruction["step"], self.now.at)
        self.wake(moved.wakeups)
        return moved.instruction

    def _step(self, run_id: str) -> None:
        with self.engine.db.read() as session:
            number = session.scalars(select(Run.step).where(Run.id == run_id)).one()
        moved = step(self.engine, run_id, number, self.now.at)
        self.wake(moved.wakeups)
        self._follow(run_id, moved.instruction)
