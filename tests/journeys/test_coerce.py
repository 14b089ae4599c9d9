"""Values in the type that the catalogue knows: what is certain is changed, nothing is guessed, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.coerce import Unfit, coerce, is_of

STRANGE = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.text())
)
TYPES = ["string", "number", "boolean", "date", "datetime", "list", "object", "any"]


@pytest.mark.parametrize(
    ("value", "type", "stored"),
    [
        ("27.50", "number", 27.5),
        (" 60 ", "number", 60),
        ("-0.5", "number", -0.5),
        ("+3", "number", 3),
        ("0", "number", 0),
        ("123456789.12", "number", 123456789.12),
        (5, "number", 5),
        ("true", "boolean", True),
        ("FALSE", "boolean", False),
        (1, "boolean", True),
        ("0", "boolean", False),
        (820982911946154508, "string", "820982911946154508"),
        ("o-1", "string", "o-1"),
        ("2026-11-29", "date", "2026-11-29"),
        (" 2026-11-29 ", "datetime", "2026-11-29"),
        ("2026-11-29T10:00:00-05:00", "datetime", "2026-11-29T15:00:00.000000Z"),
        ("20261129", "date", "2026-11-29"),
        ("20261129T100000Z", "datetime", "2026-11-29T10:00:00.000000Z"),
        ("29.11.2026", "date", "2026-11-29"),
        ("29.11.2026 14:30", "datetime", "2026-11-29T14:30:00.000000Z"),
        ("Sun, 29 Nov 2026 10:00:00 GMT", "datetime", "2026-11-29T10:00:00.000000Z"),
        (1796031000, "datetime", "2026-11-30T09:30:00.000000Z"),
        ("1796031000123", "datetime", "2026-11-30T09:30:00.123000Z"),
        (None, "number", None),
        ({"a": 1}, "any", {"a": 1}),
        ("[1]", "list", "[1]"),
    ],
)
def test_what_is_certain_is_changed(value: Any, type: str, stored: Any) -> None:
    found = coerce(value, type)
    assert (found, found.__class__) == (stored, stored.__class__)


@pytest.mark.parametrize(
    ("value", "type"),
    [
        ("27,50", "number"),
        ("1,234", "number"),
        ("1.234,56", "number"),
        ("1'234", "number"),
        ("007", "number"),
        ("12345678901234567890", "number"),
        ("0.12345678901234567", "number"),
        ("1e5", "number"),
        ("NaN", "number"),
        ("\u0663", "number"),
        ("EUR 5", "number"),
        ("", "number"),
        (True, "number"),
        ([], "number"),
        ("yes", "boolean"),
        (2, "boolean"),
        (0.5, "boolean"),
        (True, "string"),
        (1.5, "string"),
        ({}, "string"),
        ("11/12/2026", "date"),
        ("31.02.2026", "date"),
        ("tomorrow", "datetime"),
        (True, "datetime"),
        (17, "datetime"),
        ("9" * 5_000, "datetime"),
        ([], "date"),
    ],
)
def test_what_would_be_a_guess_or_a_loss_stays(value: Any, type: str) -> None:
    with pytest.raises(Unfit):
        coerce(value, type)


@given(STRANGE, st.sampled_from(TYPES))
def test_any_value_is_fitted_or_left_and_fitting_twice_changes_nothing(value: Any, type: str) -> None:
    try:
        once = coerce(value, type)
    except Unfit:
        assert not is_of(value, type)
        return
    if once == once:
        assert coerce(once, type) == once
    if type in ("number", "boolean", "string") and once is not None:
        assert is_of(once, type)
