"""Two contacts, each in the same journey, become one at each instant of their two runs: from then on nothing goes out a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.providers.provider import Answer, MessageDead, RetryLater
from activities.sending.gate import Hold
from activities.sending.handler import Draft, Job
from activities.sending.ledger import messages
from activities.sending.reconcile import settle
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from engine.interpreter.state import Instruction
from models import Run
from tests.engine.conftest import StoryClock

GONE = ("claimed", "sent", "uncertain")


@dataclass
class Two:
    """The runs of two contacts, led by turns; at point `at` (after a commit, or around a call) the contacts become one."""

    world: Any
    at: int = 0
    winner: int = 0
    passed: int = 0
    people: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    open: dict[str, Instruction] = field(default_factory=dict)
    not_before: dict[str, datetime] = field(default_factory=dict)
    gone_at_merge: Counter[str] | None = None
    """Node -> calls that had begun when the contacts became one."""

    def begin(self) -> None:
        for _ in range(2):
            person = self.world.contact()
            run = self.world.run(self.world.happens(person, "Signed Up"))
            self.people.append(person)
            self.runs.append(run)
            self.open[run] = self.world.row(run).instruction
            self.world.later(seconds=1)

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            self.become_one()

    def become_one(self) -> None:
        with self.world.db.write() as session:
            begun = session.execute(select(messages.c.node).where(messages.c.run_id.in_(self.runs), messages.c.status.in_(GONE))).scalars()
            self.gone_at_merge = Counter(begun)
            merge(session, self.people[self.winner], self.people[1 - self.winner], self.world.now)
        for run in self.runs:  # whoever can goes on at once, beside the call that is on its way
            for _ in range(30):
                if not self.act(run):
                    break

    def act(self, run: str) -> bool:
        """What the run's workflow does next; whether it got anywhere without time passing."""
        instruction = self.open.get(run)
        if instruction is None or self.not_before.get(run, self.world.now) > self.world.now:
            return False
        if instruction["op"] == "wait" and (instruction["until"] is None or datetime.fromisoformat(instruction["until"]) > self.world.now):
            return False
        then, number = instruction.get("then"), instruction["step"]
        try:
            moved = self.world.perform(run, number, then["activity"]) if then else self.world.step(run, number)
        except ApplicationError as error:
            self.not_before[run] = self.world.now + (error.next_retry_delay or timedelta(seconds=1))
            return False
        self.open[run] = moved.instruction
        if moved.instruction["op"] == "end":
            del self.open[run]
        return True

    def to_the_end(self, turns: Callable[[list[str]], Iterator[str]]) -> None:
        for _ in range(200):
            if not self.open:
                return
            moved = [self.act(run) for run in turns(self.runs)]
            settle(self.world.effects)
            if not any(moved):
                self.world.now = min(self._instants())
        raise AssertionError("the runs do not end")

    def _instants(self) -> Iterator[datetime]:
        for run, instruction in self.open.items():
            until = instruction.get("until")
            yield max([self.world.now, self.not_before.get(run, self.world.now), *([datetime.fromisoformat(until)] if until else [])])


@contextmanager
def watched(two: Two) -> Iterator[None]:
    """Every commit ends with a point, and every call begins and ends with one."""
    dialect, performer = two.world.db.engine.dialect, two.world.performer
    commit, send = dialect.do_commit, performer.send

    def commit_then_point(connection: Any) -> None:
        commit(connection)
        two.point()

    def send_between_points(*call: Any) -> Answer:
        two.point()
        answer: Answer = send(*call)
        two.point()
        return answer

    dialect.do_commit, performer.send = commit_then_point, send_between_points
    try:
        yield
    finally:
        dialect.do_commit, performer.send = commit, send


def by_turns(runs: list[str]) -> Iterator[str]:
    yield from runs


def elder_ahead(runs: list[str]) -> Iterator[str]:
    yield from (runs[0], runs[0], runs[0], runs[1])


def younger_ahead(runs: list[str]) -> Iterator[str]:
    yield from (runs[1], runs[1], runs[1], runs[0])


def tell(world: Any, at: int, turns: Callable[[list[str]], Iterator[str]], winner: int = 0) -> Two:
    two = Two(world, at, winner)
    two.begin()
    with watched(two):
        two.to_the_end(turns)
    return two


NODES = {"hello", "nudge", "last"}


@pytest.mark.parametrize(("turns", "delivery_check"), [(by_turns, "lookup"), (elder_ahead, "blind"), (younger_ahead, "lookup")])
def test_at_whatever_commit_two_become_one_nothing_is_sent_again(world, reference, turns, delivery_check):
    world.performer.delivery_check = delivery_check
    world.publish(reference)
    points = tell(world, 0, turns).passed
    assert points > 20
    for at in range(1, points + 1):
        world.performer.received.clear()
        two = tell(world, at, turns, winner=at % 2)
        received = Counter(key.split(":")[1] for key in world.performer.received)
        assert two.gone_at_merge is not None
        wanted = {node: max(1, two.gone_at_merge[node]) for node in NODES}
        assert received == wanted, f"merged at point {at} of {points}"


@dataclass
class Merged:
    """The younger run's first mail is on its way when the contacts become one."""

    world: Any
    elder: str
    younger: str
    winner: str
    loser: str

    def fate(self, run: str) -> tuple[str, str]:
        [message] = self.world.messages(run)
        return message.status, message.reason


def merged_while_sending(world: Any, reference: dict[str, Any], ends: BaseException | None = None, **changes: Any) -> Merged:
    """`ends`: what becomes of the call (None: the provider accepts it)."""
    world.publish(reference, **changes)
    winner, loser = world.contact(), world.contact()
    elder = world.run(world.happens(winner, "Signed Up"))
    world.later(seconds=1)
    younger = world.run(world.happens(loser, "Signed Up"))
    send = world.performer.send

    def send_meanwhile(job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        world.performer.send = send
        with world.db.write() as session:
            merge(session, winner, loser, world.now)
        with pytest.raises(ApplicationError, match="other_run_in_flight"):
            world.perform(elder)
        if ends is not None:
            raise ends
        return send(job, draft, address, attempt)

    world.performer.send = send_meanwhile
    with suppress(ApplicationError, KeyboardInterrupt):
        world.perform(younger)
    return Merged(world, elder, younger, winner, loser)


def test_the_run_that_goes_on_leaves_as_if_the_mail_were_its_own(world, reference):
    two = merged_while_sending(world, reference)
    world.perform(two.elder)
    assert [two.fate(two.younger), two.fate(two.elder)] == [("sent", ""), ("skipped", "sent_by_other_run")]
    assert ("hello", "left", "sent") in world.trail(two.elder)
    assert world.row(two.elder).node == "day"
    assert world.performer.received == [f"{two.younger}:hello:1"]


@pytest.mark.parametrize("ends", [RetryLater("greylisted", timedelta(minutes=1)), MessageDead("refused")])
def test_a_mail_that_certainly_did_not_arrive_is_sent_by_the_run_that_goes_on(world, reference, ends):
    two = merged_while_sending(world, reference, ends)
    world.later(minutes=2)
    world.perform(two.elder)
    assert two.fate(two.elder)[0] == "sent"
    assert world.performer.received == [f"{two.elder}:hello:1"]


@pytest.mark.parametrize(("delivery_check", "fates"), [("lookup", ("skipped", "sent")), ("blind", ("uncertain", "skipped"))])
def test_a_call_whose_process_died_is_found_out_first(world, reference, delivery_check, fates):
    world.performer.delivery_check = delivery_check
    two = merged_while_sending(world, reference, KeyboardInterrupt())
    world.later(minutes=2)
    with pytest.raises(ApplicationError, match="other_run_in_flight"):
        world.perform(two.elder)
    with world.db.read() as session:
        assert session.get_one(Run, two.younger).ended_at is not None
    world.engine.clock = StoryClock(world)
    settle(world.effects)
    world.perform(two.elder)
    assert (two.fate(two.younger)[0], two.fate(two.elder)[0]) == fates


def test_a_later_run_of_the_same_person_is_sent_everything(world, reference):
    two = merged_while_sending(world, reference, entry=reference["entry"] | {"reentry": {"policy": "after_exit"}})
    world.walk(two.elder)
    world.later(days=1)
    again = world.run(world.happens(two.winner, "Signed Up"))
    world.perform(again)
    assert two.fate(again) == ("sent", "")


def test_who_stood_in_line_behind_the_mail_is_asked_for_again(world, reference):
    two = merged_while_sending(world, reference)
    world.publish(reference, key="other")
    [behind] = [run for run in world.happens(two.winner, "Signed Up").starts if run != two.elder]
    world.performer.verdicts.append(Hold(world.now + timedelta(hours=1), "in_line", behind=True))
    world.perform(behind)
    moved = world.perform(two.elder)
    assert moved.wakeups.runs == {behind}
    assert world.row(behind).due_at == world.now


def side_by_side(world: Any, reference: dict[str, Any], reentry: dict[str, Any]) -> int:
    """How often the first mail arrives, where the younger run began a day after the elder one and has not sent it when the two become one."""
    world.publish(reference, entry=reference["entry"] | {"reentry": reentry})
    winner, loser = world.contact(), world.contact()
    elder = world.run(world.happens(winner, "Signed Up", {"cart": 1}))
    world.walk(elder, until=world.now + timedelta(days=1, hours=1))
    younger = world.run(world.happens(loser, "Signed Up", {"cart": 2}))
    world.walk(elder)
    with world.db.write() as session:
        merge(session, winner, loser, world.now)
    world.walk(younger)
    return sum(":hello:" in key for key in world.performer.received)


@pytest.mark.parametrize(
    ("reentry", "received"),
    [
        ({"policy": "never"}, 1),
        ({"policy": "after_exit"}, 1),
        ({"policy": "after_window", "window": "P2D"}, 1),
        ({"policy": "after_window", "window": "P1D"}, 2),
        ({"policy": "per_key", "key": "cart"}, 2),
    ],
)
def test_runs_that_one_person_may_have_side_by_side_send_each_their_own(world, reference, reentry, received):
    assert side_by_side(world, reference, reentry) == received


def test_whoever_are_two_again_have_nothing_of_each_other(world, reference):
    two = merged_while_sending(world, reference)
    with world.db.write() as session:
        found = newest(session, two.winner)
        assert found is not None
        assert found.id is not None
        unmerge(session, found.id, "test", world.now)
    world.perform(two.elder)
    assert two.fate(two.elder) == ("sent", "")
