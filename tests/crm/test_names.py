from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.identifiers import PLACEHOLDERS, Refused, normalise, normalise_all


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("email", " Anna.Muster@Example.ORG ", "anna.muster@example.org"),
        ("email", "a+tag@sub.example.co.uk", "a+tag@sub.example.co.uk"),
        ("email", "jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
        ("email", "it's--ok@example.org", "it's--ok@example.org"),
        ("phone", "+41 44 668 18 00", "+41446681800"),
        ("user_id", " U-1 ", "U-1"),
        ("user_id", "u\x001", "u1"),
        ("external:shop", "5", "5"),
    ],
)
def test_one_spelling_is_stored(kind: str, value: str, stored: str) -> None:
    assert normalise(kind, value) == stored


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("email", "nobody", "invalid_email"),
        ("email", "a@b", "invalid_email"),
        ("email", "a b@example.org", "invalid_email"),
        ("email", "a..b@example.org", "invalid_email"),
        ("email", "x" * 65 + "@example.org", "invalid_email"),
        ("email", "a@" + "b" * 64 + ".org", "invalid_email"),
        ("email", "a" * 10_000, "invalid_email"),
        ("email", "_" * 300 + "!", "invalid_email"),
        ("phone", "044 668 18 00", "invalid_phone"),
        ("phone", "call me", "invalid_phone"),
        ("user_id", "null", "placeholder"),
        ("anonymous_id", "[object Object]", "placeholder"),
        ("user_id", "   ", "placeholder"),
        ("user_id", "x" * 321, "too_long"),
        ("shoe_size", "42", "unknown_kind"),
    ],
)
def test_what_cannot_be_used_is_an_answer(kind: str, value: str, reason: str) -> None:
    assert normalise(kind, value) == Refused(kind, reason)


def test_a_region_reads_national_numbers() -> None:
    assert normalise("phone", "044 668 18 00", "CH") == "+41446681800"


def test_surest_names_come_first_and_once() -> None:
    usable, refused = normalise_all(
        [
            ("anonymous_id", "a"),
            ("email", "X@example.org"),
            ("email", "x@example.org"),
            ("user_id", "u"),
            ("phone", "no"),
            ("external:shop", "1"),
        ]
    )
    assert usable == [("user_id", "u"), ("external:shop", "1"), ("email", "x@example.org"), ("anonymous_id", "a")]
    assert refused == [Refused("phone", "invalid_phone")]


@given(kind=st.sampled_from(["email", "phone", "user_id", "anonymous_id", "external:x", "zzz"]), value=st.text(max_size=400))
def test_any_text_has_an_answer_and_normalising_twice_changes_nothing(kind: str, value: str) -> None:
    found = normalise(kind, value)
    if isinstance(found, str):
        assert normalise(kind, found) == found
        assert "\x00" not in found
        assert found.lower() not in PLACEHOLDERS


ODD_NAMES = st.text(st.sampled_from(" \u00a0\u200b\ufeff\u0130\u017fKaA@.+-1_e\u0301") | st.characters(), max_size=12)
EMAILS = st.builds("{}@{}.org".format, ODD_NAMES, ODD_NAMES)


@given(st.sampled_from(["email", "phone", "user_id", "anonymous_id", "external:shop"]), ODD_NAMES | EMAILS)
def test_what_is_stored_would_be_taken_again_as_it_is(kind: str, value: str) -> None:
    """Checked is what is stored, and not what it was made of."""
    stored = normalise(kind, value)
    if not isinstance(stored, Refused):
        assert normalise(kind, stored) == stored
