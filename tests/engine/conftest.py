"""A small world for the engine: a database, published journeys, contacts and events, and a performer that only counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from temporalio.exceptions import ApplicationError

from activities.providers.provider import Answer, DeliveryCheck
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.gate import Pass, Verdict
from activities.sending.handler import AddressReason, Draft, Job
from activities.sending.ledger import messages
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.interpreter.state import Instruction
from engine.runs.rows import runs
from engine.runs.step import Moved, step
from engine.temporal.wakeups import Wakeups
from engine.versions import publish as publishing
from journeys.calls import activity_of
from journeys.catalogue import SYSTEM_EVENTS
from journeys.errors import NotFound
from journeys.nodes import Palette
from models import Contact, Database, Journey, Template, Trail, new_id
from storage import tally
from storage.events import append_event
from tests.recount import Day, read_days, recounted, recounted_days, undated

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REFERENCE: dict[str, Any] = {
    "spec": 1,
    "key": "reference",
    "name": "Reference",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "hello",
    "nodes": {
        "hello": {"kind": "send_email", "template": "a"},
        "day": {"kind": "wait", "duration": "P1D"},
        "opened": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"message": "opened", "node": "hello"}]}},
        "thanks": {"kind": "send_email", "template": "a"},
        "nudge": {"kind": "send_email", "template": "a"},
        "two_days": {"kind": "wait", "duration": "P2D"},
        "last": {"kind": "send_email", "template": "a"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "hello", "outlet": "sent", "to": "day"},
        {"from": "day", "to": "opened"},
        {"from": "opened", "outlet": "yes", "to": "thanks"},
        {"from": "opened", "outlet": "no", "to": "nudge"},
        {"from": "thanks", "outlet": "sent", "to": "two_days"},
        {"from": "nudge", "outlet": "sent", "to": "two_days"},
        {"from": "two_days", "to": "last"},
        {"from": "last", "outlet": "sent", "to": "end"},
    ],
}


@dataclass
class Counting:
    """A performer that sends to nobody and counts; what it shall raise can be put into `failures`."""

    name: str = "counting"
    delivery_check: DeliveryCheck = "idempotent"
    remembers: timedelta = timedelta(0)
    timeout_seconds: float = 5.0
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "sent", "skipped": "skipped", "failed": "failed"})
    received: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    failures: list[Exception] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def prepare(self, session: Session, job: Job) -> Draft:
        return Draft(payload=job.call.input)

    def ask(self, session: Session, contact: Contact | None, job: Job, draft: Draft) -> Verdict:
        return self.verdicts.pop(0) if self.verdicts else Pass("nobody@example.org")

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        return {}

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        if self.failures:
            raise self.failures.pop(0)
        self.received.append(job.once_key)
        self.known.add(job.once_key)
        return Answer(provider_id=job.once_key)

    def lookup(self, once_key: str) -> Answer | None:
        return Answer(provider_id=once_key) if once_key in self.known else None

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """Nothing to remember."""


@dataclass(repr=False)
class World:
    """The engine with helpers that read like a story. `now` is the virtual clock; `walk` plays the workflow of a run."""

    engine: Engine
    performer: Counting
    effects: Effects
    now: datetime = START

    @property
    def db(self) -> Database:
        return self.engine.db

    def publish(self, document: Mapping[str, Any], **changes: Any) -> str:
        """Creates (or edits) and publishes a journey; returns its id."""
        document = {**document, **changes}
        with self.db.write() as session:
            try:
                journey = publishing.get_journey(session, document["key"])
            except NotFound:
                journey = publishing.create_journey(session, document, "test", self.now)
            else:
                journey = publishing.save_draft(session, journey.id, document, journey.revision, "test", self.now)
            publishing.publish(self.engine, session, journey.id, "test", "", self.now)
            return journey.id

    def contact(self, **fields: Any) -> str:
        with self.db.write() as session:
            id = fields.pop("id", None) or new_id()
            session.add(Contact(id=id, created_at=self.now, updated_at=self.now, email=f"{id}@example.org", **fields))
            return id

    def happens(self, contact_id: str, name: str, properties: Mapping[str, Any] | None = None, **more: Any) -> Wakeups:
        """An event arrives, as ingestion does it; one with a name of ours as the server writes it, unless `type` says otherwise."""
        type = more.pop("type", "system" if name in SYSTEM_EVENTS else "track")
        with self.db.write() as session:
            event = append_event(session, contact_id, type, name, properties or {}, self.now, source="test", routed=True, **more)
            return route(self.engine, session, [event], self.now)

    def run(self, wakeups: Wakeups) -> str:
        [run_id] = wakeups.starts
        return run_id

    def row(self, run_id: str) -> Any:
        with self.db.read() as session:
            return session.execute(select(runs).where(runs.c.id == run_id)).one()

    def trail(self, run_id: str) -> list[tuple[str, str, str]]:
        with self.db.read() as session:
            lines = session.scalars(select(Trail).where(Trail.run_id == run_id).order_by(Trail.step, Trail.seq)).all()
            return [(line.node, line.what, line.outlet) for line in lines]

    def messages(self, run_id: str) -> list[Any]:
        with self.db.read() as session:
            return list(session.execute(select(messages).where(messages.c.run_id == run_id).order_by(messages.c.planned_at)))

    def step(self, run_id: str, number: int | None = None) -> Moved:
        number = self.row(run_id).step if number is None else number
        return step(self.engine, run_id, number, self.now)

    def perform(self, run_id: str, number: int | None = None, activity: str = activity_of("email")) -> Moved:
        number = self.row(run_id).step if number is None else number
        return perform(self.effects, activity, run_id, number, self.now)

    def walk(self, run_id: str, *, until: datetime | None = None) -> Instruction:
        """Plays the run's workflow up to `until` (the virtual clock jumps from wait to wait), or to its end."""
        instruction: Instruction = self.row(run_id).instruction
        for _ in range(1_000):
            if instruction["op"] == "end":
                return instruction
            if instruction["op"] == "wait":
                wakes = datetime.fromisoformat(instruction["until"]) if instruction["until"] else None
                if wakes is None or (until is not None and wakes > until):
                    self.now = until or self.now
                    return instruction
                self.now = max(self.now, wakes)
            then = instruction.get("then")
            number = instruction["step"]
            instruction = (self._attempt(run_id, number, then["activity"]) if then else self.step(run_id, number)).instruction
        raise AssertionError("the run does not end")

    def _attempt(self, run_id: str, number: int, activity: str) -> Moved:
        """A call that did not begin because the machine stood still after its claim is made again, as Temporal does."""
        try:
            return self.perform(run_id, number, activity)
        except ApplicationError as error:
            if error.message != "stalled":
                raise
        return self.perform(run_id, number, activity)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def StoryClock(world: Any) -> Clock:
    """A clock that shows the time of the story, in both times."""
    return Clock(read=lambda: world.now)


@pytest.fixture
def world(db: Database) -> Iterator[World]:
    yield from counted(build(db))


@pytest.fixture
def sqlite_world(sqlite_db: Database) -> Iterator[World]:
    """For what does not depend on the kind of database."""
    yield from counted(build(sqlite_db))


def counted(world: World) -> Iterator[World]:
    """Whatever a test does to runs, the tally says what the rows say: before and after its changes are folded."""
    yield world
    with world.db.write() as session:
        wanted = {id: recounted(session, id) for id in session.scalars(select(Journey.id))}
        days = {id: recounted_days(session, id) for id in wanted}
        assert_counted(session, wanted, days)
        while tally.fold(session, 7):
            pass
        assert_counted(session, wanted, days)


def assert_counted(session: Session, wanted: Mapping[str, tally.Counts], days: Mapping[str, Counter[Day]]) -> None:
    assert {id: tally.read(session, id) for id in wanted} == wanted
    assert {id: read_days(session, id) for id in wanted} == days
    assert {id: undated(session, id) for id in wanted} == {id: {} for id in wanted}


def build(db: Database) -> World:
    engine = Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))
    performer = Counting()
    with db.write() as session:
        session.add(Template(key="a", name="A", message_class="transactional", created_at=START, updated_at=START))
    return World(engine, performer, Effects(engine, {"email": performer}, Breakers(db)))


@pytest.fixture
def reference() -> dict[str, Any]:
    return dict(REFERENCE, settings={"message_class": "transactional"})
