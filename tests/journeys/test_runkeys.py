"""Which run an event is about."""

from __future__ import annotations

from typing import Any

import pytest

from journeys.runkeys import is_of_run, is_same, run_key

KEYS = ["cart_id", "checkout_id", "order_id"]


@pytest.mark.parametrize(
    ("key", "properties", "found"),
    [
        ("cart_id", {"cart_id": "c1"}, "c1"),
        ("cart_id", {"cart_id": 17}, "17"),
        ("cart_id", {"cart_id": ""}, ""),
        ("cart_id", {"cart_id": " "}, ""),
        ("cart_id", {"cart_id": True}, ""),
        ("cart_id", {"cart_id": {"id": 1}}, ""),
        ("cart.id", {"cart": {"id": "c1"}}, "c1"),
        (None, {"cart_id": "c1"}, ""),
        (KEYS, {"cart_id": "c1", "order_id": "o1"}, "c1"),
        (KEYS, {"cart_id": None, "order_id": "o1"}, "order_id:o1"),
        (KEYS, {"checkout_id": "x", "order_id": "o1"}, "checkout_id:x"),
        (KEYS, {}, ""),
        (KEYS, {"order_id": "o" * 300}, "order_id:" + "o" * 191),
    ],
)
def test_the_first_path_with_a_value_is_the_key(key: Any, properties: Any, found: str) -> None:
    assert run_key(key, properties) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"cart_id": "a"}, {"cart_id": "a"}, True),
        ({"cart_id": "a"}, {"cart_id": "b", "order_id": "o"}, False),
        ({"cart_id": "a", "order_id": "o"}, {"cart_id": "b", "order_id": "o"}, False),
        ({"cart_id": "a"}, {"order_id": "o"}, None),
        ({"order_id": "o"}, {"order_id": "o", "checkout_id": "x"}, True),
        ({"order_id": 5}, {"order_id": "5"}, True),
        ({}, {"order_id": "o"}, None),
    ],
)
def test_the_first_path_that_both_hold_decides(one: Any, other: Any, same: bool | None) -> None:
    assert is_same(KEYS, one, other) is same
    assert is_same(KEYS, other, one) is same


def test_a_single_path_is_compared_with_the_key_as_ever() -> None:
    assert is_of_run("cart_id", "c1", {}, {"cart_id": "c1"})
    assert not is_of_run("cart_id", "c1", {"cart_id": "c1"}, {"order_id": "o"})
    assert not is_of_run("cart_id", "", {}, {})
    long = "c" * 300
    assert is_of_run("cart_id", run_key("cart_id", {"cart_id": long}), {}, {"cart_id": long})


def test_an_event_that_cannot_be_compared_is_about_the_run() -> None:
    assert is_of_run(KEYS, "c1", {"cart_id": "c1"}, {"order_id": "o", "checkout_id": "x"})
    assert not is_of_run(KEYS, "c1", {"cart_id": "c1"}, {"cart_id": "c2"})
