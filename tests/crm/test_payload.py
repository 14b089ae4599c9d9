from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.errors import TooLarge
from storage.json_values import MAX_DEPTH, clean, clean_object, same

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=3),
    max_leaves=20,
)


@given(anything)
def test_whatever_comes_becomes_json_that_stays_itself(value: Any) -> None:
    cleaned = clean(value)
    assert same(orjson.loads(orjson.dumps(cleaned)), cleaned)
    assert same(clean(cleaned), cleaned)
    assert b"\\u0000" not in orjson.dumps(cleaned)


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"a": value}
    return value


def test_depth_is_bounded() -> None:
    assert clean(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(TooLarge, match="nested deeper"):
        clean(nested(MAX_DEPTH + 1))
    with pytest.raises(TooLarge, match="nested deeper"):
        clean_object(nested(100_000), 10**9)


def test_size_and_keys_are_bounded() -> None:
    with pytest.raises(TooLarge, match="larger than 100 bytes"):
        clean_object({"a": "x" * 100}, 100)
    with pytest.raises(TooLarge, match="key is longer"):
        clean_object({"k" * 201: 1}, 1_000)


def test_dates_get_one_spelling_and_what_no_database_takes_is_replaced() -> None:
    said = {
        "at": "2026-01-01T10:00:00+01:00",
        "on": datetime(2026, 1, 1, 9, tzinfo=UTC),
        "nan": float("nan"),
        "big": 10**30,
        "sur": "a\ud800b",
    }
    assert clean(said) == {
        "at": "2026-01-01T09:00:00.000000Z",
        "on": "2026-01-01T09:00:00.000000Z",
        "nan": None,
        "big": str(10**30),
        "sur": "a?b",
    }


def test_true_is_not_one() -> None:
    assert not same({"a": True}, {"a": 1})
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
