"""Whatever is written where a web address belongs is taken, or refused in a sentence: never an error that nobody wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.web_addresses import web_address

ONLY_HTTPS = "Enter an address that begins with https://."
HTTP_TOO = "Enter an address that begins with https:// or http://."
NOT_IN_IT = "A web address has no blanks, no letters such as ü, no backslash, and no user name or password."


@pytest.mark.parametrize(
    "text", ["", "https://shop.example.org", "https://shop.example.org:8443/a?b=c#d", "https://xn--mller-kva.example/", "https://[::1]/"]
)
def test_an_address_stays_as_it_was_written(text: str) -> None:
    assert web_address(text, schemes=("https",)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://[", ONLY_HTTPS),
        ("http://[", ONLY_HTTPS),
        ("http://shop.example.org", ONLY_HTTPS),
        ("https://", ONLY_HTTPS),
        ("https://shop.example.org:port", ONLY_HTTPS),
        ("https://shop.example.org:99999", ONLY_HTTPS),
        ("javascript:alert(1)", ONLY_HTTPS),
        ("//shop.example.org", ONLY_HTTPS),
        (" https://shop.example.org", NOT_IN_IT),
        ("https://shop.example.org/a b", NOT_IN_IT),
        ("https://shop.example.org/\r\nX-Header: 1", NOT_IN_IT),
        ("https://shop.example.org/\x00", NOT_IN_IT),
        ("https://anna:secret@shop.example.org", NOT_IN_IT),
        ("https://shop.example.org@evil.example", NOT_IN_IT),
        ("https://shop.example.org\\@evil.example", NOT_IN_IT),
        ("https://müller.example", NOT_IN_IT),
        ("https://shop.example.org/‮gnp.exe", NOT_IN_IT),
        ("https://shop.example.org/" + "ü" * 2_000, NOT_IN_IT),
    ],
)
def test_another_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        web_address(text, schemes=("https",))


def test_the_sentence_names_what_is_allowed_there() -> None:
    assert web_address("http://hooks.example.org", schemes=("https", "http")) == "http://hooks.example.org"
    with pytest.raises(ValueError, match=f"^{re.escape(HTTP_TOO)}$"):
        web_address("http://[", schemes=("https", "http"))


@given(st.text(max_size=200).map(lambda text: f"https://{text}"))
def test_nothing_else_ever_comes_out(text: str) -> None:
    try:
        assert web_address(text, schemes=("https",)) == text
    except ValueError as error:
        assert str(error) in (ONLY_HTTPS, NOT_IN_IT)  # noqa: PT017 - both ends are good
