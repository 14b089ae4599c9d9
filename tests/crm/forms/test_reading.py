"""What browsers send, read by the definition of a form."""

from __future__ import annotations

from typing import Any

import pytest

from crm.forms.definition import Definition
from crm.forms.reading import MISSING, NO_DATE, NO_NUMBER, UNTICKED, read

BOX = {"key": "agree", "wording": {"en": "Yes"}, "required": True, "topics": True}


def of(input: str, **more: Any) -> Definition:
    return Definition.model_validate({"fields": [{"kind": "question", "name": "q", "input": input, **more}]})


@pytest.mark.parametrize(
    ("input", "given", "value"),
    [
        ("text", ["  two\u200b  words\x00 "], "two words"),
        ("text", ["first", "last"], "last"),
        ("textarea", [" a\nb "], "a\nb"),
        ("number", ["1’234,5"], 1234.5),
        ("number", ["12"], 12),
        ("date", ["2026-02-28"], "2026-02-28"),
        ("checkbox", ["yes"], True),
        ("checkbox", ["on"], None),
        ("choices", ["B", "A", "C"], ["A", "B"]),
        ("text", [" "], None),
        ("text", [], None),
    ],
)
def test_an_answer_is_stored_in_its_type(input: str, given: list[str], value: Any) -> None:
    choices = [{"value": "A"}, {"value": "B"}] if input == "choices" else []
    assert read(of(input, choices=choices), {"q": given}, (), "en").values.get("q") == value


@pytest.mark.parametrize(
    ("input", "given", "wrong"),
    [
        ("number", "nan", NO_NUMBER),
        ("number", "1e400", NO_NUMBER),
        ("number", "many", NO_NUMBER),
        ("date", "2026-02-30", NO_DATE),
        ("checkbox", "", MISSING),
        ("text", "\u200b", MISSING),
    ],
)
def test_what_is_no_answer_is_named(input: str, given: str, wrong: str) -> None:
    assert read(of(input, required=True), {"q": [given]}, (), "en").wrong == {"q": wrong}


def test_topics_are_answered_as_they_were_shown_and_only_with_their_box() -> None:
    form = Definition.model_validate({"boxes": [BOX]})
    sent = {"agree": ["yes"], "topic.a": ["yes"], "topic.evil": ["yes"], "shown": ["topic.a", "topic.b", "topic.evil"]}
    assert read(form, sent, ["a", "b", "c"], "en").topics == {"a": True, "b": False}
    assert read(form, {"agree": ["yes"]}, ["a"], "en").topics == {"a": False}
    unticked = read(form, {**sent, "agree": ["no"]}, ["a", "b"], "en")
    assert (unticked.topics, unticked.boxes, unticked.wrong) == ({}, [], {"agree": UNTICKED})


@pytest.mark.parametrize(
    ("given", "english", "german"),
    [
        ("1.234", 1.234, 1234),
        ("1,234", 1234, 1.234),
        ("1.234,5", 1234.5, 1234.5),
        ("12.5", 12.5, 12.5),
        ("-3,5", -3.5, -3.5),
        ("1_000", None, None),
    ],
)
def test_a_number_is_read_as_the_language_writes_it(given: str, english: float | None, german: float | None) -> None:
    read_in = {language: read(of("number"), {"q": [given]}, (), language).values.get("q") for language in ("en", "de")}
    assert read_in == {"en": english, "de": german}
