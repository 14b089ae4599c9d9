"""Keys that read like names, and copies that one can tell apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.keys import MOST, MOST_NAME, copy_of, key_of, key_problems, name_problems


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Nach dem Kauf", "nach_dem_kauf"),
        ("Größe & Äußeres!", "groesse_aeusseres"),
        ("  Crème brûlée ", "creme_brulee"),
        ("生日", "journey"),
        ("", "journey"),
        ("Welcome", "welcome_2"),
    ],
)
def test_a_key_reads_like_its_name(name: str, key: str) -> None:
    assert key_of(name, {"welcome"}, "journey") == key


@given(st.text(max_size=200), st.sets(st.sampled_from(["journey", "journey_2", "a", "a_2"])))
def test_a_key_is_always_one_and_free(name: str, taken: set[str]) -> None:
    key = key_of(name, taken, "journey")
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", key)
    assert key not in taken


def test_copies_of_copies_have_names_of_their_own() -> None:
    names = ["Welcome"]
    for one in ("Welcome", "Welcome", "Welcome (copy)"):
        names.append(copy_of(one, "copy", names))
    assert names == ["Welcome", "Welcome (copy)", "Welcome (copy 2)", "Welcome (copy 3)"]
    assert len(copy_of("x" * 120, "copy", ())) <= 120


@pytest.mark.parametrize(
    ("key", "most", "fits"), [("a" * MOST, MOST, True), ("a" * 48, 48, True), ("a" * 49, 48, False), ("-a", 48, False), ("", 48, False)]
)
def test_a_key_has_its_letters_and_its_length(key: str, most: int, fits: bool) -> None:
    assert [issue.message for issue in key_problems(key, most)] == [
        f"Expected a key of lower-case letters, digits, - and _, at most {most}." for _ in range(not fits)
    ]


def test_a_name_has_a_length() -> None:
    assert [len(name) for name in ("", "a", "a" * MOST_NAME, "a" * (MOST_NAME + 1)) if not [*name_problems(name)]] == [1, MOST_NAME]
