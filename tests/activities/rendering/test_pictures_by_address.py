"""A part that is the address of a picture: checked when it is saved, and left out where what is filled in is none."""

from __future__ import annotations

import pytest

from activities.rendering import Marks, compile_template, render
from journeys.errors import Invalid

PARTS = {"title": "Hi", "text": "There", "url": "https://e.org/"}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://e.org/p.png", "unsafe_link"),
        ("javascript:alert(1)", "unsafe_link"),
        ("data:image/png;base64,AA", "unsafe_link"),
        ("/p.png", "relative_link"),
        ("https://", "link_without_host"),
        ("https://e.org/\np.png", "line_break"),
    ],
)
def test_what_is_no_address_of_a_picture_is_not_saved(address: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_template({"de": {**PARTS, "picture": address}}, "push")
    assert [(issue.code, issue.field) for issue in caught.value.issues] == [(code, "variants.de.picture")]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://e.org/p.png", "https://e.org/p.png"),
        ("http://e.org/p.png", ""),
        ("javascript:alert(1)", ""),
        ("https://e.org/a b", ""),
        ("https://", ""),
        ("https://e.org/" + "x" * 5_000, ""),
        (None, ""),
    ],
)
def test_a_picture_that_is_none_stops_no_message_and_none_is_tracked(given: str | None, shown: str) -> None:
    compiled = compile_template({"de": {**PARTS, "picture": "{{ contact.picture or '' }}"}}, "push")
    out = render(compiled, ["de"], {"contact": {"picture": given}}, marks=Marks(lambda digest: f"https://m.example/c/{digest}"))
    assert (out.parts["picture"], list(out.links.values())) == (shown, ["https://e.org/"])
    assert out.parts["url"].startswith("https://m.example/c/")


def test_the_address_that_a_push_message_opens_is_asked_for() -> None:
    with pytest.raises(Invalid) as caught:
        compile_template({"de": {**PARTS, "url": ""}}, "push")
    assert [issue.code for issue in caught.value.issues] == ["empty"]
