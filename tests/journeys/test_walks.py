"""A journey without issues always comes to its end, whoever walks it and whatever happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.graphs import POOL
from engine.interpreter.simulate import Script, simulate
from journeys.compile import compile_journey
from journeys.nodes import Palette
from journeys.reading import read
from tests.journeys.graphs import documents

happenings = st.builds(
    lambda hours, name: {"after": timedelta(hours=hours), "name": name, "properties": {"task_id": "simulated:n1:1", "outcome": "won"}},
    st.integers(0, 500),
    st.sampled_from(["Order Completed", "Task Finished", "Message Opened", "Signed In"]),
)
scripts = st.fixed_dictionaries(
    {
        "contact": st.fixed_dictionaries(
            {
                "lifecycle_stage": st.sampled_from(["lead", "customer", None]),
                "created_at": st.sampled_from(["2025-01-01", "2026-01-08T10:00:00+01:00", "soon", None]),
                "timezone": st.sampled_from(["Europe/Zurich", "America/New_York", "Nowhere", None]),
            }
        ),
        "tags": st.lists(st.sampled_from(["vip", "new"]), max_size=2),
        "scores": st.fixed_dictionaries({"engagement": st.floats(-100, 100)}),
        "rotations": st.sampled_from([{}, {POOL: ["kim"]}]),
        "events": st.lists(happenings, max_size=5),
    }
)


@settings(max_examples=60, deadline=None)
@given(documents(), scripts)
def test_every_walk_ends_through_edges_that_are_drawn(raw: dict[str, Any], script: dict[str, Any]) -> None:
    program = compile_journey(read(raw), Palette.built_in())
    path = simulate(program, Script.model_validate(script))
    assert path.ended == "completed"
    walked = path.nodes()
    assert [program.next[step] for step in path.outlets()] == walked[1:]


@settings(max_examples=20, deadline=None)
@given(documents(), scripts)
def test_the_same_walk_twice_is_the_same(raw: dict[str, Any], script: dict[str, Any]) -> None:
    program = compile_journey(read(raw), Palette.built_in())
    assert simulate(program, Script.model_validate(script)).lines == simulate(program, Script.model_validate(script)).lines
