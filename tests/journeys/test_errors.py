"""Errors are sentences in the reader's language, for people; their values are for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journeys.errors import Invalid, Issue, Misconfigured, NotFound, PfadwerkError, Sentence, Unfit
from locales import translator

GERMAN = translator("de")
FIELD = Issue(code="missing", text="This field is required.", field="name")


SAID = pytest.mark.parametrize(
    ("error", "english", "german"),
    [
        (
            NotFound("There is no secret “{name}”: add it in the settings.", name="slack"),
            "There is no secret “slack”: add it in the settings.",
            "Ein Geheimnis „slack“ gibt es nicht: Legen Sie es in den Einstellungen an.",
        ),
        (
            Invalid("Expected a type out of {types}.", types=["text", "date"]),
            "Expected a type out of text, date.",
            "Erwartet wird ein Typ aus text, date.",
        ),
        (
            Invalid(
                "{file}: {problem}",
                [FIELD],
                file="a.json",
                problem=Invalid("This is not a valid journey document: {problem}", problem=FIELD),
            ),
            "a.json: This is not a valid journey document: This field is required.",
            "a.json: Das ist kein gültiges Journey-Dokument: Diese Angabe fehlt.",
        ),
        (
            Misconfigured("Some settings cannot be used:\n{problems}", problems=[FIELD, FIELD]),
            "Some settings cannot be used:\n  name: This field is required.\n  name: This field is required.",
            "Einige Einstellungen sind nicht verwendbar:\n  name: Diese Angabe fehlt.\n  name: Diese Angabe fehlt.",
        ),
    ],
)


@SAID
def test_a_sentence_is_said_in_one_language_with_all_that_stands_in_it(error: PfadwerkError, english: str, german: str) -> None:
    assert str(error) == error.say(str) == english
    assert error.say(GERMAN) == german


@SAID
def test_a_sentence_that_was_written_down_is_said_again_in_any_language(error: PfadwerkError, english: str, german: str) -> None:
    read = Sentence.read(Sentence.of(error).write(1_000))
    assert (str(read), read.say(GERMAN)) == (english, german)


def test_what_a_sentence_does_not_show_is_not_written_down() -> None:
    """`details` may name whom an operation was about; whoever reads a row later has no business with that."""
    error = Invalid("There is no file {file}.", file="a", contact_id="01J", typed="anna@example.org")
    assert json.loads(Sentence.of(error).write(1_000)) == {"text": "There is no file {file}.", "values": {"file": "a"}}


def test_a_sentence_with_no_room_for_its_parts_is_english_text() -> None:
    error = Invalid("There is no file {file}.", file="a" * 60)
    written = Sentence.of(error).write(40)
    assert written == str(error)[:40]
    assert str(Sentence.read(written)) == written


@pytest.mark.parametrize(
    "old", ["There is no such run.", "", "{", "{}", "[1]", "7", '{"text": 7, "values": {}}', "Expected {field} or {other}."]
)
def test_what_was_written_before_sentences_were_is_read_as_it_stands(old: str) -> None:
    assert str(Sentence.read(old)) == old


@pytest.mark.parametrize("name", ["{name}", "{problem}", "{", "{}", "{0}", "%s", "\\1"])
def test_what_was_typed_in_is_never_a_place(name: str) -> None:
    error = Invalid('expected {"node", "outlet"} in {name}', name=name)
    assert str(error) == f'expected {{"node", "outlet"}} in {name}'


def test_details_are_json_and_hold_the_values_with_sentences_in_english() -> None:
    cause = NotFound("There is no such run.", run_id="r1")
    error = Invalid("{file}: {problem}", [FIELD], file="a", problem=cause, others=[FIELD], types=("x", "y"), rows=[["email", "invalid"]])
    expected: dict[str, Any] = {"file": "a", "problem": "There is no such run.", "types": ["x", "y"], "rows": [["email", "invalid"]]}
    assert json.loads(json.dumps(error.details)) == {**expected, "issues": [FIELD.model_dump()], "others": [FIELD.model_dump()]}


def test_an_issue_says_the_issue_inside_it_in_the_same_language() -> None:
    hint = Issue(code="did_you_mean", text="; did you mean {near}?", values={"near": "a"})
    issue = Issue(code="x", text="expected one of the variables in docs/settings.md, got {name}{hint}", values={"name": "b", "hint": hint})
    assert issue.message.endswith("got b; did you mean a?")
    assert issue.say(GERMAN).endswith("nicht b; meinten Sie a?")


def test_a_value_that_does_not_fit_has_text_and_values() -> None:
    error = Unfit("expected different key ids, got {name} twice", name="k1")
    assert str(error) == "expected different key ids, got k1 twice"
    assert (error.text, error.values) == ("expected different key ids, got {name} twice", {"name": "k1"})
