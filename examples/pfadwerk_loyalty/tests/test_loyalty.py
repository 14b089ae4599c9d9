"""The step is tested as a plain function and as a node of a journey; no worker, no Temporal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pfadwerk_loyalty import LEDGER, AddPoints, add_points

from journeys.custom import ActivityContext, GiveUp
from journeys.nodes import Node, Palette


@pytest.fixture(autouse=True)
def empty_ledger() -> Iterator[None]:
    LEDGER.clear()
    yield
    LEDGER.clear()


def visit(key: str = "run:points:1") -> ActivityContext:
    return ActivityContext(run_id="run", contact_id="c1", journey="welcome", node_id="points", idempotency_key=key)


def test_points_are_added_up_over_visits() -> None:
    add_points(visit("run:points:1"), AddPoints(member="M1", points=50))
    result = add_points.perform(visit("run:points:2"), {"member": "M1", "points": 20})
    assert (result.outlet, result.data) == ("added", {"balance": 70})


def test_a_retry_books_once() -> None:
    first = add_points.perform(visit(), {"member": "M1", "points": 50})
    assert add_points.perform(visit(), {"member": "M1", "points": 50}) == first


def test_without_a_number_nobody_is_a_member() -> None:
    assert add_points.perform(visit(), {"member": "", "points": 50}).outlet == "not_a_member"
    assert LEDGER == {}


def test_a_number_that_came_as_a_number_is_one() -> None:
    assert add_points.perform(visit(), {"member": 4711, "points": "20"}).data == {"balance": 20}


def test_whoever_has_no_number_is_no_member() -> None:
    assert add_points.perform(visit(), {"member": None, "points": 50}).outlet == "not_a_member"


def test_points_can_be_the_contacts_own() -> None:
    palette = Palette.built_in().with_kinds(add_points.node)
    node = palette.parse("points", {"kind": "custom.loyalty_points", "input": {"points": "{{ trigger.points|default(10) }}"}})
    assert isinstance(node, Node)
    with pytest.raises(GiveUp, match="bad_input:points"):
        add_points.perform(visit(), {"member": "M1", "points": "many"})


def test_a_broken_number_is_not_retried() -> None:
    with pytest.raises(GiveUp, match="bad_member_number"):
        add_points.perform(visit(), {"member": "M 1;", "points": 50})


def test_staging_pretends_and_books_nothing() -> None:
    assert add_points.pretend({"member": "M1", "points": 50}).outlet == "added"
    assert LEDGER == {}


def test_the_palette_checks_the_form() -> None:
    palette = Palette.built_in().with_kinds(add_points.node)
    node = palette.parse("points", {"kind": "custom.loyalty_points", "input": {"points": 50}})
    assert isinstance(node, Node)
    assert node.outlets() == ("added", "not_a_member")
    issues = palette.parse("points", {"kind": "custom.loyalty_points", "input": {"points": 0}})
    assert isinstance(issues, list)
    assert [(issue.node_id, issue.field) for issue in issues] == [("points", "input.points")]
