"""The value of a secret is found and taken out wherever it stands in what another system answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from activities.redaction import redacted, tells, texts_in
from tests.broken import copies

ANSWER = {"token": "s3cret-long", "list": ["a s3cret b", 7, None, {"s3cret": True}], "s3cret": {"deep": "xs3cretx"}, "short": "abc"}
VALUES = ("s3cret", "s3cret-long", "abc")


def keeps_out(rule: Callable[..., Any]) -> bool:
    return bool(
        rule(ANSWER, VALUES)
        == {
            "token": "[secret]",
            "list": ["a [secret] b", 7, None, {"[secret]": True}],
            "[secret]": {"deep": "x[secret]x"},
            "short": "abc",
        }
    )


def test_the_longest_goes_first_and_keys_go_too() -> None:
    assert keeps_out(redacted)
    assert redacted("abc", ("abc",)) == "abc", "values of three characters stand in too many words"
    assert redacted("abcd", ("abcd",)) == "[secret]"


def test_every_text_is_looked_at() -> None:
    assert list(texts_in(ANSWER)) == ["token", "s3cret-long", "list", "a s3cret b", "s3cret", "s3cret", "deep", "xs3cretx", "short", "abc"]
    assert tells("a s3cret b", VALUES)
    assert not tells("abc", VALUES)
    assert not tells("s3cre", VALUES)


def finds_all(rule: Callable[..., Any]) -> bool:
    return list(rule(ANSWER)) == list(texts_in(ANSWER))


@pytest.mark.parametrize(("rule", "keeps"), [(redacted, keeps_out), (texts_in, finds_all)], ids=["redacted", "texts_in"])
def test_each_part_is_needed(rule: Callable[..., Any], keeps: Callable[..., bool]) -> None:
    rules = dict(copies(rule))
    assert rules
    for text, copy in rules.items():
        try:
            kept = keeps(copy)
        except (AttributeError, TypeError):  # a number has no parts
            kept = False
        assert not kept, f"nothing notices that this rule is gone: {text}"
