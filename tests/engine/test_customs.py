"""Custom activities in a run: whatever an engineer's function does, the run goes on or is stuck with a word that says why, and is called no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from activities.custom.handler import MAX_DATA_BYTES, CustomActivityHandler
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from engine.engine import Engine
from journeys.calls import activity_of
from journeys.custom import GiveUp, Result, activity
from journeys.nodes import Palette

JOURNEY = {
    "spec": 1,
    "key": "j",
    "name": "J",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "a",
    "nodes": {"a": {"kind": "custom.odd"}, "end": {"kind": "exit"}},
    "edges": [{"from": "a", "to": "end"}],
}
ODD = activity_of("custom:odd")


class Nothing(BaseModel):
    pass


class Odd:
    """A function that does what the test says, and counts its calls."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self.does, self.calls = does, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.does()


def raises(error: BaseException) -> Any:
    raise error


def started(world: Any, odd: Odd, *, retries: int = 0, fake: bool = False) -> str:
    @activity(name="odd", title="Odd", retries=retries, timeout=timedelta(seconds=2), fake=lambda _: odd())
    def function(ctx, input: Nothing) -> Any:
        return odd()

    world.engine = Engine(world.db, world.engine.clock, Palette.built_in().with_kinds(function.node), world.engine.address_keys)
    world.effects = Effects(world.engine, {function.channel: CustomActivityHandler(function, fake=fake)}, Breakers(world.db))
    world.publish(JOURNEY)
    run: str = world.run(world.happens(world.contact(), "Signed Up"))
    return run


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {}


def endless() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["a"] = ring
    return ring


@pytest.mark.parametrize("fake", [False, True])
@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda: Result("next", {"a": object()}), "bad_data"),
        (lambda: Result("next", deep(300)), "bad_data"),
        (lambda: Result("next", endless()), "bad_data"),
        (lambda: Result("next", {"a": "x" * MAX_DATA_BYTES}), "bad_data"),
        (lambda: Result("next", [1]), "bad_data"),
        (lambda: 42, "bad_answer"),
        (lambda: raises(SystemExit(1)), "SystemExit"),
        (lambda: raises(GiveUp(404)), "404"),
        (lambda: raises(ValueError("ada@example.org")), "ValueError"),
    ],
)
def test_what_cannot_be_kept_or_done_makes_the_run_stuck_after_one_call(sqlite_world, does, reason, fake) -> None:
    odd = Odd(does)
    run = started(sqlite_world, odd, fake=fake)
    sqlite_world.perform(run, activity=ODD)
    row = sqlite_world.row(run)
    assert (row.status, row.reason, odd.calls) == ("stuck", reason, 1)


def test_data_is_kept_as_every_database_can_store_it(world) -> None:
    given = {"day": date(2026, 3, 2), "n": 10**30, "text": "a\x00b", "not": float("nan"), "id": {7}, "on": "2026-3-2"}
    odd = Odd(lambda: Result("next", given))
    run = started(world, odd)
    world.perform(run, activity=ODD)
    assert world.row(run).ended_at is not None
    [message] = world.messages(run)
    kept = {key: message.answer["data"][key] for key in given}
    assert kept == {"day": "2026-03-02", "n": str(10**30), "text": "ab", "not": None, "id": [7], "on": "2026-3-2"}


class Hangs(BaseException):
    """The attempt never comes back: its process is gone, or Temporal gave it up."""


def test_an_attempt_without_an_answer_counts_and_a_person_can_have_it_tried_again(sqlite_world) -> None:
    odd = Odd(lambda: raises(Hangs()))
    run = started(sqlite_world, odd, retries=1)
    for _ in range(2):
        with pytest.raises(Hangs):
            sqlite_world.perform(run, activity=ODD)
        with pytest.raises(ApplicationError, match="in_flight"):
            sqlite_world.perform(run, activity=ODD)
        sqlite_world.later(minutes=5)
    sqlite_world.perform(run, activity=ODD)
    row = sqlite_world.row(run)
    assert (row.status, row.reason, odd.calls) == ("stuck", "no_answer", 2)
    [message] = sqlite_world.messages(run)
    assert (message.status, message.attempts) == ("planned", 0)


def test_the_log_says_where_it_was_raised_and_not_what_was_said(sqlite_world, caplog) -> None:
    run = started(sqlite_world, Odd(lambda: raises(ValueError("ada@example.org"))))
    sqlite_world.perform(run, activity=ODD)
    [line] = [record.getMessage() for record in caplog.records if record.name == "activities.custom.handler"]
    node = sqlite_world.row(run).node
    assert line.startswith(f"the custom activity odd raised in attempt 1 at node {node} of run {run}: ValueError in test_customs.py:")
    assert "ada" not in line


def test_the_log_names_the_line_in_the_engineers_file_and_not_the_librarys(sqlite_world, caplog) -> None:
    run = started(sqlite_world, Odd(lambda: json.loads("ada@example.org")))
    sqlite_world.perform(run, activity=ODD)
    [line] = [record.getMessage() for record in caplog.records if record.name == "activities.custom.handler"]
    assert "JSONDecodeError in test_customs.py:" in line
    assert "ada" not in line
