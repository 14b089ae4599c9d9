"""A process may die between any two lines; what counts are the commits, the calls and what Temporal heard. Here it dies at each of them.

Every story is told once undisturbed, which numbers the points at which something becomes known outside the process: before and after
each commit, each call of the provider, each word to Temporal. Then it is told again for every point, with the process dying there and
a new one taking over as Temporal, the client and the keeper make it. The end must be the same.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.ledger import messages
from activities.sending.reconcile import settle
from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.interpreter.state import Instruction
from engine.keeper import Keeper, recover
from engine.runs.rows import runs
from engine.runs.step import step
from engine.temporal.wakeups import Wakeups
from models import Event, Journey, Trail
from storage.events import event_row, insert_events
from tests.engine.conftest import StoryClock

LOOP = asyncio.Runner()
"""One for all stories, of every file that tells some, until the process ends: a new one for each word to Temporal took a fifth of the time."""
atexit.register(LOOP.close)
OUTAGE = timedelta(minutes=2)
"""From a death until everybody has noticed: longer than any lease, time limit and grace."""


class Death(BaseException):
    """SIGKILL, as near as a test gets: nothing in the product catches it."""


@dataclass
class Points:
    """Counts the points that are passed and dies at number `fatal` (0: at none)."""

    fatal: int = 0
    passed: int = 0
    sends: list[int] = field(default_factory=list)
    """The points just before the provider was called."""

    def reach(self) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            raise Death


@dataclass
class Server:
    """What Temporal keeps: the instruction that each open workflow is at, and its wake-up. Survives every death, unless it is `wiped`."""

    points: Points
    open: dict[str, Instruction] = field(default_factory=dict)
    signals: set[str] = field(default_factory=set)

    async def wake(self, wakeups: Wakeups) -> int:
        for start in wakeups.starts.values():
            await self.start(start.run_id, start.journey_key, start.instruction)
        for run_id in sorted(wakeups.runs):
            await self.signal(run_id)
        return 0

    async def signal(self, run_id: str) -> bool | None:
        self.points.reach()
        if run_id not in self.open:
            return False
        self.signals.add(run_id)
        return True

    async def start(self, run_id: str, journey_key: str, instruction: Instruction) -> bool:
        self.points.reach()
        self.open.setdefault(run_id, instruction)
        return True

    def complete(self, run_id: str, instruction: Instruction) -> None:
        """An activity's result arrives."""
        self.points.reach()
        self.open[run_id] = instruction
        if instruction["op"] == "end":
            del self.open[run_id]
            self.signals.discard(run_id)


class Teller:
    """Tells one story with one death at most."""

    def __init__(self, world: Any, contact: str, points: Points, *, wipes: bool = False) -> None:
        self.world = world
        self.contact = contact
        self.points = points
        self.server = Server(points)
        self.wipes = wipes
        self._acts = 0
        self._new_process()

    def _new_process(self) -> None:
        old = self.world.engine
        self.world.engine = Engine(old.db, StoryClock(self.world), old.palette, old.address_keys)
        self.world.effects = Effects(self.world.engine, {"email": self.world.performer}, Breakers(self.world.db))
        self.keeper = Keeper(self.world.engine, self.server, duties=[lambda: settle(self.world.effects)])

    def _survive(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Death:
            self.world.now += OUTAGE
            self._new_process()
            if self.wipes:
                self.server.open.clear()
                self.server.signals.clear()
                LOOP.run(self._recover())
            return None

    async def _recover(self) -> None:
        async for _ in recover(self.world.engine, self.server):
            pass

    def arrives(self, name: str) -> None:
        """A client sends an event until it is told that it arrived."""
        self._acts += 1
        message_id = f"{self.contact}-{self._acts}"
        while not self._survive(lambda: self._ingest(name, message_id)):
            pass

    def _ingest(self, name: str, message_id: str) -> bool:
        world = self.world
        row = event_row("track", name, {}, received_at=world.now, source="test", message_id=message_id)
        with world.db.write() as session:
            [id] = insert_events(session, [{**row, "contact_id": self.contact}])
            wakeups = route(world.engine, session, [session.get_one(Event, id)], world.now) if id is not None else Wakeups()
        LOOP.run(self.server.wake(wakeups))
        return True

    def until(self, node: str) -> None:
        """Lets time pass until a run waits at `node`."""
        self._go_on(lambda: any(row.node == node for row in self._rows() if row.ended_at is None))

    def to_the_end(self, within: timedelta | None = None) -> None:
        """Lets time pass until all runs have ended and no claim is open; checks that it does not take longer than it may."""
        began = self.world.now
        self._go_on(lambda: all(row.ended_at for row in self._rows()) and not self.server.open and not self._claims())
        assert within is None or self.world.now - began <= within

    def _go_on(self, there: Callable[[], bool]) -> None:
        for _ in range(300):
            if there():
                return
            self._survive(self._act)
        raise AssertionError(f"the story does not go on: {self._rows()}")

    def _rows(self) -> list[Any]:
        with self.world.db.read() as session:
            return list(session.execute(select(runs.c.id, runs.c.node, runs.c.ended_at).where(runs.c.contact_id == self.contact)))

    def _claims(self) -> bool:
        with self.world.db.read() as session:
            claimed = select(messages.c.id).where(messages.c.contact_id == self.contact, messages.c.status == "claimed")
            return session.execute(claimed).first() is not None

    def _act(self) -> None:
        """The next thing that happens: a workflow goes on, else the keeper looks (twice, for it has patience), else time passes."""
        busy = next((id for id, instruction in self.server.open.items() if id in self.server.signals or self._is_due(instruction)), None)
        if busy is not None:
            self._work_at(busy, self.server.open[busy])
        elif not self._keep():
            self.world.later(minutes=1)
            if not self._keep() and (alarms := [until for i in self.server.open.values() if (until := self._until(i))]):
                self.world.now = max(self.world.now, min(alarms))

    def _until(self, instruction: Instruction) -> datetime | None:
        until = instruction.get("until")
        return datetime.fromisoformat(until) if until else None

    def _is_due(self, instruction: Instruction) -> bool:
        until = self._until(instruction)
        return instruction["op"] == "do" or (until is not None and until <= self.world.now)

    def _work_at(self, run_id: str, instruction: Instruction) -> None:
        """What the workflow does with its instruction, and what its worker does for it."""
        world, number = self.world, instruction["step"]
        signalled = run_id in self.server.signals
        if signalled and instruction["op"] == "do":
            step(world.engine, run_id, number, world.now)  # beside the effect; only the wake-up asked for it
        if instruction["op"] == "do" or ("then" in instruction and not signalled):
            try:
                moved = perform(world.effects, instruction["then"]["activity"], run_id, number, world.now)
            except ApplicationError as error:
                world.now += error.next_retry_delay or timedelta(seconds=1)
                return
        else:
            moved = step(world.engine, run_id, number, world.now)
        LOOP.run(self.server.wake(moved.wakeups))
        self.server.complete(run_id, moved.instruction)
        self.server.signals.discard(run_id)

    def _keep(self) -> bool:
        """One round of the keeper; whether it woke anybody."""
        LOOP.run(self.keeper.tick())
        return bool(self.server.signals) or any(self._is_due(instruction) for instruction in self.server.open.values())


@contextmanager
def mortal(world: Any, points: Points) -> Iterator[None]:
    """Makes every commit, and every call of the provider, two points: one before it and one after."""
    dialect, performer = world.db.engine.dialect, world.performer
    commit, send = dialect.do_commit, performer.send

    def commit_between_points(connection: Any) -> None:
        points.reach()
        commit(connection)
        points.reach()

    def send_between_points(*call: Any) -> Any:
        points.reach()
        points.sends.append(points.passed)
        answer = send(*call)
        points.reach()
        return answer

    dialect.do_commit, performer.send = commit_between_points, send_between_points
    try:
        yield
    finally:
        dialect.do_commit, performer.send = commit, send


# --- the stories ---------------------------------------------------------------------------------------------------------


def walks_through(teller: Teller) -> None:
    teller.arrives("Signed Up")
    teller.to_the_end()


def orders_while_waiting(teller: Teller) -> None:
    teller.arrives("Signed Up")
    teller.until("two_days")
    teller.arrives("Order Completed")
    teller.to_the_end(within=timedelta(hours=1))


def hears_an_answer(teller: Teller) -> None:
    teller.arrives("Signed Up")
    teller.until("listen")
    teller.arrives("Answered")
    teller.to_the_end(within=timedelta(hours=3))


BUSY: dict[str, Any] = {
    "spec": 1,
    "key": "busy",
    "name": "Writes, listens, and sets off another journey",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "settings": {"message_class": "transactional"},
    "start": "points",
    "nodes": {
        "points": {"kind": "change_score", "group": "engagement", "points": 10},
        "hello": {"kind": "send_email", "template": "a"},
        "again": {"kind": "send_email", "template": "a"},
        "listen": {"kind": "wait_for", "branches": [{"name": "yes", "event": "Answered"}], "timeout": "P3D"},
        "more": {"kind": "change_score", "group": "engagement", "points": 5},
        "other": {"kind": "start_journey", "journey": "after"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "points", "to": "hello"},
        {"from": "hello", "outlet": "sent", "to": "again"},
        {"from": "again", "outlet": "sent", "to": "listen"},
        {"from": "listen", "outlet": "yes", "to": "more"},
        {"from": "listen", "outlet": "timed_out", "to": "end"},
        {"from": "more", "to": "other"},
        {"from": "other", "to": "end"},
    ],
}
AFTER: dict[str, Any] = {
    "spec": 1,
    "key": "after",
    "name": "Set off",
    "entry": {"triggers": [{"type": "journey"}]},
    "settings": {"message_class": "transactional"},
    "start": "note",
    "nodes": {"note": {"kind": "send_email", "template": "a"}, "hour": {"kind": "wait", "duration": "PT1H"}, "end": {"kind": "exit"}},
    "edges": [{"from": "note", "outlet": "sent", "to": "hour"}, {"from": "hour", "to": "end"}],
}
ECHO: dict[str, Any] = {
    "spec": 1,
    "key": "echo",
    "name": "Starts from an event that the worker appends, so the keeper has to route it",
    "entry": {"triggers": [{"type": "event", "event": "Message Sent"}]},
    "start": "hour",
    "nodes": {"hour": {"kind": "wait", "duration": "PT1H"}, "end": {"kind": "exit"}},
    "edges": [{"from": "hour", "to": "end"}],
}


@dataclass(frozen=True)
class End:
    """How a story ended, without times and ids. `fates` and `received` name messages as journey:node:visit."""

    paths: tuple[Any, ...]
    fates: dict[str, str]
    received: tuple[str, ...]
    score: float


def end_of(world: Any, contact: str) -> End:
    with world.db.read() as session:
        rows = session.execute(
            select(runs.c.id, runs.c.status, runs.c.reason, Journey.key)
            .join(Journey, Journey.id == runs.c.journey_id)
            .where(runs.c.contact_id == contact)
            .order_by(Journey.key, runs.c.id)
        ).all()
        names = {row.id: f"{row.key}{[r.key for r in rows[:i]].count(row.key)}" for i, row in enumerate(rows)}
        paths = tuple((names[row.id], row.status, row.reason, _path(session, row.id)) for row in rows)
        sent = session.execute(select(messages.c.once_key, messages.c.status).where(messages.c.contact_id == contact)).all()
        score = SqlFacts(session, contact, as_of=world.now).score("engagement")
    received = tuple(sorted(_named(key, names) for key in world.performer.received if key.split(":")[0] in names))
    return End(paths, {_named(key, names): status for key, status in sent}, received, score)


def _path(session: Any, run_id: str) -> tuple[Any, ...]:
    lines = session.scalars(select(Trail).where(Trail.run_id == run_id).order_by(Trail.step, Trail.seq)).all()
    return tuple((line.node, line.what, line.outlet) for line in lines)


def _named(once_key: str, names: dict[str, str]) -> str:
    run_id, rest = once_key.split(":", 1)
    return f"{names[run_id]}:{rest}"


def tell(world: Any, story: Callable[[Teller], None], fatal: int, *, wipes: bool = False) -> tuple[End, Points]:
    """The story of a new contact, with a death at point `fatal`; how it ended, and the points it passed."""
    points, contact = Points(fatal), world.contact()
    with mortal(world, points):
        story(Teller(world, contact, points, wipes=wipes))
    return end_of(world, contact), points


EXITS = {"exit_when": [{"event": "Order Completed"}]}
STORIES = {walks_through: ["reference0"], orders_while_waiting: ["reference0"], hears_an_answer: ["after0", "busy0", "echo0"]}
"""Each with the runs that it leads to."""


@pytest.fixture(params=STORIES, ids=lambda story: story.__name__)
def story(request: pytest.FixtureRequest, world: Any, reference: dict[str, Any]) -> Callable[[Teller], None]:
    for document in (ECHO, AFTER, BUSY) if request.param is hears_an_answer else ({**reference, **EXITS},):
        world.publish(document)
    return request.param


@pytest.mark.parametrize("delivery_check", ["lookup", "blind"])
def test_a_death_at_any_point_changes_nothing(world, story, delivery_check, db):
    """At every point on SQLite; on PostgreSQL at every third, and at all of them in the soak."""
    each = 3 if db.engine.dialect.name == "postgresql" else 1
    dies_anywhere(world, story, delivery_check, each)


@pytest.mark.soak
@pytest.mark.parametrize("db", ["postgres"], indirect=True)
@pytest.mark.parametrize("delivery_check", ["lookup", "blind"])
def test_a_death_at_any_point_changes_nothing_on_postgresql(world, story, delivery_check):
    dies_anywhere(world, story, delivery_check, 1)


def dies_anywhere(world: Any, story: Callable[[Teller], None], delivery_check: str, each: int) -> None:
    world.performer.delivery_check = delivery_check
    undisturbed, points = tell(world, story, fatal=0)
    assert [path[0] for path in undisturbed.paths] == STORIES[story]
    assert set(undisturbed.fates.values()) == {"sent"}
    assert points.passed > 20
    fatals = range(1, points.passed + 1) if delivery_check == "lookup" else around_sends(points)
    for fatal in fatals[::each]:
        end, _ = tell(world, story, fatal)
        if delivery_check == "blind":
            end = resolved(end, undisturbed)
        assert end == undisturbed, f"death at point {fatal} of {points.passed}"


def around_sends(points: Points) -> list[int]:
    """The points at which a claim may be open: there alone it matters whether the provider can be asked for a message."""
    near = {send + away for send in points.sends for away in range(-3, 5)}
    return sorted(near & set(range(1, points.passed + 1)))


def resolved(end: End, undisturbed: End) -> End:
    """`end` with its doubt put to one side: at most one message is uncertain, it may or may not have arrived, and none came twice."""
    uncertain = [key for key, status in end.fates.items() if status == "uncertain"]
    assert len(uncertain) <= 1
    assert len(set(end.received)) == len(end.received)
    assert set(undisturbed.received) - set(end.received) <= set(uncertain)
    return replace(end, fates={**end.fates, **dict.fromkeys(uncertain, "sent")}, received=undisturbed.received)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_death_of_everything_that_takes_temporals_data_along_changes_nothing(world, story):
    world.performer.delivery_check = "lookup"
    undisturbed, points = tell(world, story, fatal=0)
    assert [path[0] for path in undisturbed.paths] == STORIES[story]
    for fatal in range(1, points.passed + 1):
        end, _ = tell(world, story, fatal, wipes=True)
        assert end == undisturbed, f"death at point {fatal} of {points.passed}"


def orders_while_sending(teller: Teller) -> None:
    """The order arrives while a message is on its way to the provider: the first that gets so far."""
    send, orders = teller.world.performer.send, iter(["Order Completed"])

    def send_meanwhile(*call: Any) -> Any:
        for order in orders:
            teller.arrives(order)
        return send(*call)

    teller.world.performer.send = send_meanwhile
    teller.arrives("Signed Up")
    teller.to_the_end()


@pytest.mark.parametrize("delivery_check", ["lookup", "idempotent", "blind"])
def test_an_exit_during_a_send_leaves_no_open_claim(world, reference, delivery_check):
    world.performer.delivery_check = delivery_check
    world.publish({**reference, **EXITS})
    undisturbed, points = tell(world, orders_while_sending, fatal=0)
    assert undisturbed.fates == {"reference0:hello:1": "sent"}
    assert points.passed > 8
    seen = set()
    for fatal in range(1, points.passed + 1):
        end, _ = tell(world, orders_while_sending, fatal)
        [(_, status, reason, path)] = end.paths
        assert (status, reason) == ("ended", "exit"), f"death at point {fatal} of {points.passed}"
        assert len([node for node, what, _ in path if what == "calling"]) == len(end.fates)
        for key, fate in end.fates.items():
            arrived = {"sent": {1}, "skipped": {0}, "planned": {0}, "uncertain": {0, 1}}[fate]
            assert end.received.count(key) in arrived, f"death at point {fatal} of {points.passed}: {key} is {fate}"
            seen.add(fate)
    assert seen == {"sent", "skipped" if delivery_check == "lookup" else "uncertain"}
