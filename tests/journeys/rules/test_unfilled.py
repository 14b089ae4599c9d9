"""What a comparison still wants."""

from __future__ import annotations

from typing import Any

import pytest

from journeys.rules.operands import wants_value


@pytest.mark.parametrize(
    ("operator", "value", "wants"),
    [
        ("=", None, True),
        ("=", "", True),
        ("=", 0, False),
        ("=", False, False),
        ("in", [], True),
        ("in", ["a"], False),
        ("null", None, False),
        ("notNull", None, False),
        ("between", None, True),
        ("between", [1], True),
        ("between", [1, None], True),
        ("between", ["", 2], True),
        ("between", [0, 2], False),
    ],
)
def test_a_comparison_wants_what_it_compares_with(operator: str, value: Any, wants: bool) -> None:
    assert wants_value(operator, value) is wants
