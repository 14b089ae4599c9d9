from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from journeys.compile import compile_journey
from journeys.custom import ActivityContext, CustomActivity, GiveUp, Result, Retry, activity
from journeys.document import Journey
from journeys.nodes import Node, Palette
from journeys.rules import DictFacts
from journeys.schema import journey_schema
from journeys.values import Context, Do, Leave, Performed, RunInfo
from tests.journeys.test_worktime import zurich

ROOT = Path(__file__).parents[2]
VISIT = ActivityContext(run_id="run-1", contact_id="c1", journey="j", node_id="a", idempotency_key="run-1:a:1")


class Book(BaseModel):
    member: str = "{{ contact.member }}"
    points: int = Field(title="Points", ge=1)


def made(answer: Any = None, **options: Any) -> CustomActivity:
    @activity(name="book", title="Book points", **{"outlets": ("booked", "full")} | options)
    def book(ctx: ActivityContext, input: Book) -> Result | str | None:
        """Books points."""
        return answer

    return book


def context() -> Context:
    now = zurich("2026-03-02T11:00+01:00")
    return Context(DictFacts({"member": "M1"}), now, RunInfo("run-1", "c1", "j", now), "a", 1, now, now.tzinfo or sys.exit())


def node_of(custom: CustomActivity, **fields: Any) -> Node:
    node = Palette.built_in().with_kinds(custom.node).parse("a", {"kind": f"custom.{custom.name}", **fields})
    assert isinstance(node, Node), node
    return node


def test_it_becomes_a_step_with_its_own_outlets_and_channel() -> None:
    node = node_of(made(version=3), input={"points": 5})
    assert (node.kind, node.label, node.behaviour, node.outlets()) == ("custom.book", "Book points", 3, ("booked", "full"))
    assert (node.__doc__, node.effect_channel) == ("Books points.", "custom:book@3")


def test_it_calls_its_channel_with_the_input_filled_in() -> None:
    answer = node_of(made(), input={"points": 5}).enter(context())
    assert isinstance(answer, Do)
    assert answer.call.model_dump() == {"channel": "custom:book@1", "input": {"input": {"member": "M1", "points": 5}}}


def test_it_leaves_as_the_function_said() -> None:
    answer = node_of(made(), input={"points": 5}).resume(context(), Performed(outlet="full", data={"n": 1}))
    assert answer == Leave(outlet="full", remember={"n": 1})


def test_the_form_is_in_the_schema() -> None:
    schema = journey_schema(Palette.built_in().with_kinds(made().node))
    assert schema["$defs"]["step.custom.book"]["properties"]["kind"]["const"] == "custom.book"
    assert schema["$defs"]["Book"]["properties"]["points"]["minimum"] == 1


def test_it_runs_in_a_program_beside_the_built_in_kinds() -> None:
    nodes = {"a": {"kind": "custom.book", "input": {"points": 5}}, "b": {"kind": "exit"}}
    edges = [{"from": "a", "outlet": outlet, "to": "b"} for outlet in ("booked", "full")]
    journey = Journey.model_validate({"key": "j", "name": "J", "start": "a", "nodes": nodes, "edges": edges})
    program = compile_journey(journey, Palette.built_in().with_kinds(made(version=2).node))
    assert program.behaviours == {"custom.book@2", "exit@1"}


def test_two_versions_stand_side_by_side() -> None:
    palette = Palette.built_in().with_kinds(made().node, made(version=2).node)
    assert palette["custom.book"].behaviour == 2
    assert {"custom.book@1", "custom.book@2"} <= palette.behaviours


@pytest.mark.parametrize(
    ("answer", "result"),
    [(None, Result("booked")), ("full", Result("full")), (Result("full", {"n": 1}), Result("full", {"n": 1}))],
)
def test_what_a_function_may_answer(answer: Any, result: Result) -> None:
    assert made(answer).perform(VISIT, {"points": 5}) == result


@pytest.mark.parametrize("answer", ["elsewhere", Result("elsewhere"), 7, ("booked",)])
def test_an_answer_without_an_outlet_is_given_up(answer: Any) -> None:
    with pytest.raises(GiveUp, match="bad_answer"):
        made(answer).perform(VISIT, {"points": 5})


def test_input_that_does_not_fit_is_given_up() -> None:
    with pytest.raises(GiveUp, match="bad_input"):
        made().perform(VISIT, {"points": 0})


def test_staging_pretends() -> None:
    assert made("full").pretend({"points": 5}) == Result("booked")
    assert made(fake=lambda given: Result("full", {"n": given.points})).pretend({"points": 5}) == Result("full", {"n": 5})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "Book It"}, "expected name"),
        ({"version": 0}, "expected version"),
        ({"outlets": ()}, "expected outlets"),
        ({"outlets": ("a", "a")}, "expected outlets"),
        ({"outlets": "next"}, "expected outlets"),
        ({"outlets": ("Way out",)}, "expected an outlet"),
        ({"timeout": timedelta(0)}, "expected timeout"),
        ({"timeout": timedelta(days=1)}, "expected timeout"),
        ({"retries": -1}, "expected retries"),
        ({"retries": 1, "retry": Retry()}, "got both"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        activity(**{"name": "book", "title": "Book"} | options)


@pytest.mark.parametrize(
    "options",
    [
        {"initial_interval": timedelta(0)},
        {"initial_interval": timedelta(minutes=6)},
        {"maximum_interval": timedelta(days=2)},
        {"backoff": 0.5},
        {"attempts": 0},
        {"non_retryable": (ValueError("x"),)},
        {"non_retryable": (int,)},
        {"non_retryable": OSError},
    ],
)
def test_a_retry_policy_that_does_not_fit_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Retry(**options)


def test_an_async_function_needs_somebody_who_runs_it() -> None:
    @activity(name="book", title="Book points")
    async def book(ctx: ActivityContext, input: Book) -> Result:
        return Result("next", {"n": input.points})

    assert book.perform(VISIT, {"points": 5}, finish=asyncio.run) == Result("next", {"n": 5})
    with pytest.raises(TypeError, match="finish"):
        book.perform(VISIT, {"points": 5})


def test_functions_that_do_not_fit_are_refused_at_once() -> None:
    def no_input(ctx: ActivityContext) -> None: ...
    def no_model(ctx: ActivityContext, input: dict[str, Any]) -> None: ...

    for function in (no_input, no_model):
        with pytest.raises(TypeError, match=function.__name__):
            activity(name="book", title="Book")(function)  # type: ignore[arg-type]


def test_the_example_package_passes_its_own_test() -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/pfadwerk_loyalty"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
