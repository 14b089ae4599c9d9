"""What a mail says of itself to filters and wary readers."""

from __future__ import annotations

import pytest

from activities.rendering.reputation import MOST_EXCLAMATIONS, concerns

GOOD = (
    "<html><body><p>Hello Anna, this is a letter with enough words in it for every filter to read, and a little more.</p>{}</body></html>"
)


def codes(inside: str, frame: str = GOOD) -> list[str]:
    return [issue.code for issue in concerns("de", frame.format(inside), inside)]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('<a href="https://shop.example.ch/a">shop</a>', []),
        ('<a href="https://www.shop.ch/a?b=1">shop.ch</a>', []),
        ('<a href="https://news.shop.ch/a">www.shop.ch/start</a>', []),
        ('<a href="https://evil.ch/a">www.shop.ch</a>', ["other_domain"]),
        ('<a href="https://notshop.ch/">https://shop.ch/login</a>', ["other_domain"]),
        ('<a href="https://evil.ch/">Version 2.0</a>', []),
        ('<a href="https://bit.ly/x">here</a>', ["short_link"]),
        ('<a href="https://notbit.ly/x">here</a>', []),
        ('<a href="https://www.example.com/x">here</a>', ["example_link"]),
        ('<a href="https://counterexample.com/x">here</a>', []),
        ('<a href="https://shop.ch/%7B%7Bname%7D%7D">here</a>', ["left_over"]),
        ('<a href="https://shop.ch/?m=*|EMAIL|*">here</a>', ["left_over"]),
        ('<img src="http://shop.ch/a.png" alt="a">', ["picture_not_https"]),
        ('<img src="data:image/png;base64,AA" alt="a">', ["picture_inside"]),
        ("Only today! Buy! Now! Now! Now! Now!", ["exclamations"]),
        ("!" * MOST_EXCLAMATIONS, []),
        ("ONLY TODAY EVERYTHING MUST LEAVE FROM HERE", ["shouting_text"]),
        ("NATO UNESCO IBAN", []),
        ("<style>.SHOUTING .LOUDLY .ALWAYS .EVERY .SINGLE .TIME {{ }}</style>", []),
    ],
)
def test_what_is_said(inside: str, expected: list[str]) -> None:
    assert codes(inside) == expected


def test_a_mail_of_pictures_alone_cannot_be_read() -> None:
    assert codes('<img src="https://shop.ch/a.png" alt="a">', "<html><body>{} Hello</body></html>") == ["only_pictures"]
    assert codes("", "<html><body>{} Hello</body></html>") == []


def test_a_hint_knows_its_place() -> None:
    [issue] = concerns("de", GOOD.format('<a href="https://bit.ly/x">here</a>'), '<mjml>\n  <a href="https://bit.ly/x">here</a>')
    assert (issue.field, issue.values["line"], issue.values["column"], issue.severity) == ("variants.de.mjml", 2, 12, "warning")
