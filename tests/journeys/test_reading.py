from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.document import MAX_DOCUMENT_BYTES, MAX_NODES, canonical, digest, pretty
from journeys.errors import Invalid, PfadwerkError, TooLarge
from journeys.reading import read
from journeys.triggers import BY_KIND
from tests.journeys.graphs import documents

SMALL = {"key": "j", "name": "J"}


@settings(max_examples=30, deadline=None)
@given(documents())
def test_the_pretty_text_reads_back_as_the_same_document(raw: dict[str, Any]) -> None:
    journey = read(raw)
    again = read(pretty(journey))
    assert canonical(again) == canonical(journey)
    assert pretty(again) == pretty(journey)


def test_positions_do_not_change_the_digest() -> None:
    assert digest(read(SMALL)) == digest(read({**SMALL, "ui": {"a": {"x": 1}}}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "This is not JSON: it cannot be read from line 1, column 1 on"),
        ("{", "This is not JSON"),
        (b"\xff\xfe", "This is not JSON"),
        ('{"key": NaN}', "it holds NaN"),
        ("1" * 5_000, "This is not JSON"),
        ('{"key": "j", "name": "J", "ui": {"a": 1e999}}', "a number that is too large"),
        ('{"key": "j", "name": "J", "ui": {"a": "\\ud800"}}', "an invalid character"),
        ('{"key": "j", "name": "J", "ui": {"\\u0000": 1}}', "an invalid character"),
        ("\ud800", "This is not JSON"),
        ("[]", "Expected a journey document"),
        ('"x"', "Expected a journey document"),
        ("{}", "not a valid journey document"),
        ('{"key": "j", "name": "J", "spec": "1"}', "whole number"),
        ('{"key": "j", "name": "J", "spec": 99}', "format version 99"),
    ],
)
def test_what_is_no_document_is_refused_in_a_sentence(text: str | bytes, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"ui":' * 70 + "1" + "}" * 70, " " * (MAX_DOCUMENT_BYTES + 1)])
def test_what_is_too_deep_or_too_large_is_refused(text: str) -> None:
    with pytest.raises(TooLarge):
        read(text)


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(Invalid, match="at most"):
        read({**SMALL, "nodes": {f"n{i}": {} for i in range(MAX_NODES + 1)}})


def test_every_problem_is_named_with_its_place() -> None:
    with pytest.raises(Invalid) as refused:
        read(
            {
                "key": "Not a key",
                "name": "",
                "entry": {"triggers": [{"type": "event", "where": 1}, {"type": "moon"}]},
                "edges": [{"to": "a"}],
                "surprise": 1,
            }
        )
    assert {(issue.field, issue.message) for issue in refused.value.issues} == {
        ("key", "Not in the expected form (^[a-z0-9][a-z0-9_-]{0,63}$)."),
        ("name", "“Name” is still empty."),
        ("entry.triggers.0.event", "“Event” is still empty."),
        ("entry.triggers.0.where", "Must be an object."),
        ("entry.triggers.1", refused.value.issues[4].message),
        ("edges.0.from", "“From” is still empty."),
        ("surprise", "There is no such field."),
    }


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"kind": "event"}, "'type' is missing: it says which kind this is."),
        ({"type": "ada@example.com"}, f"'type' must be one of {', '.join(map(repr, BY_KIND))}."),
    ],
)
def test_a_trigger_of_no_kind_is_told_in_our_words(trigger: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid) as refused:
        read({"key": "j", "name": "J", "entry": {"triggers": [trigger]}})
    [issue] = [issue for issue in refused.value.issues if (issue.field or "").startswith("entry")]
    assert (issue.field, issue.message) == ("entry.triggers.0", said)
    assert "ada@example.com" not in json.dumps(issue.model_dump())


def test_what_was_typed_in_is_not_repeated() -> None:
    with pytest.raises(Invalid) as refused:
        read({"key": "ada@example.com", "name": "J", "goal": {"event": {"secret": "ada@example.com"}}})
    assert "ada@example.com" not in json.dumps([issue.model_dump() for issue in refused.value.issues])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_rubbish_is_refused_in_a_sentence(rubbish: str | bytes) -> None:
    with pytest.raises(PfadwerkError):
        read(rubbish)


@settings(max_examples=60, deadline=None)
@given(documents(max_nodes=6), st.data())
def test_a_spoilt_document_is_read_or_refused(raw: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(raw)
    at = data.draw(st.integers(0, len(text) - 1))
    spoilt = text[:at] + data.draw(st.sampled_from(['"', "}", "[", "0", "\\", "null", "\ud800"])) + text[at + 1 :]
    with suppress(PfadwerkError):  # anything else is a bug
        assert read(spoilt).key
