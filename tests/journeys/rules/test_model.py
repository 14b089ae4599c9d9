"""Parsing: whatever comes in, a rule or a `ValidationError` with the place comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from journeys.rules import MAX_DEPTH, MAX_TERMS, EventTerm, FieldTerm, Group, MessageTerm, parse_rule
from tests.journeys.rules import strategies

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\x00") | st.just("\ud800") | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KEYS = [
    "combinator",
    "rules",
    "not",
    "field",
    "operator",
    "value",
    "valueSource",
    "event",
    "did",
    "count",
    "within",
    "where",
    "since_entry",
]
KEYS += ["message", "node", "consent", "purpose", "score", "tag", "has"]
nearly_rules = st.recursive(
    anything,
    lambda inner: (
        st.dictionaries(st.sampled_from(KEYS), inner | st.sampled_from(["and", "=", "between", "P3D", "opened", "email"]), max_size=6)
        | st.fixed_dictionaries({"rules": st.lists(inner, max_size=4)})
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(anything | nearly_rules)
def test_hostile_input_is_a_validation_error_or_a_rule(data: Any) -> None:
    try:
        rule = parse_rule(data)
    except ValidationError:
        return
    assert parse_rule(json.loads(rule.model_dump_json())) == rule


@settings(max_examples=100, deadline=None)
@given(strategies.rules(in_run=True))
def test_a_rule_survives_json(rule: Any) -> None:
    again = parse_rule(json.loads(rule.model_dump_json()))
    assert again.model_dump_json() == rule.model_dump_json()


def nested(depth: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"field": "plan", "operator": "null"}
    for _ in range(depth):
        rule = {"rules": [rule]}
    return rule


def test_depth_is_limited() -> None:
    assert parse_rule(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 500, 50_000):
        with pytest.raises(ValidationError, match="nested at most 10 deep"):
            parse_rule(nested(depth))


def test_depth_counts_through_where() -> None:
    with pytest.raises(ValidationError, match="nested at most 10 deep"):
        parse_rule({"event": "Order Completed", "where": nested(MAX_DEPTH)})


@pytest.mark.parametrize("shape", [lambda terms: {"rules": terms}, lambda terms: {"event": "Page Viewed", "where": {"rules": terms}}])
def test_the_number_of_terms_is_limited(shape: Any) -> None:
    term = {"field": "plan", "operator": "null"}
    assert parse_rule(shape([term] * (MAX_TERMS - 1)))
    with pytest.raises(ValidationError, match="at most 200 terms"):
        parse_rule(shape([term] * (MAX_TERMS + 1)))


def test_the_number_of_values_is_limited() -> None:
    term = {"field": "plan", "operator": "in", "value": ["x"] * 1_000}
    assert parse_rule({"rules": [term] * 5})
    with pytest.raises(ValidationError, match="at most 5000 values together"):
        parse_rule({"rules": [term] * 6})


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"field": "plan", "operator": "matches", "value": "(a+)+$"}, "operator"),
        ({"field": "plan", "operator": "=", "value": {"$ne": 1}}, "value"),
        ({"field": "plan", "operator": "=", "value": "a\x00"}, "value"),
        ({"field": "plan", "operator": ">", "value": 2**53 + 1}, "value"),
        ({"field": "plan", "operator": ">", "value": float("nan")}, "value"),
        ({"field": "plan", "operator": "in", "value": ["x"] * 1_001}, "value"),
        ({"field": 'pl"an', "operator": "null"}, "field"),
        ({"field": "a..b", "operator": "null"}, "field"),
        ({"field": "plan", "operator": "=", "value": "age", "valueSource": "field"}, "valueSource"),
        ({"event": "x", "within": "P99999D"}, "within"),
        ({"event": "x", "count": {"operator": ">=", "value": -1}}, "count"),
        ({"score": "fit", "value": float("inf")}, "value"),
        ({"consent": "fax"}, "consent"),
        ({"message": "read"}, "message"),
    ],
)
def test_errors_name_the_place(data: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as error:
        parse_rule({"rules": [{"tag": "vip"}, data]})
    location = error.value.errors()[0]["loc"]
    assert location[:2] == ("Group", "rules")
    assert 1 in location
    assert place in location


def test_a_telling_key_says_what_a_term_is() -> None:
    rule = parse_rule(
        {"combinator": "or", "rules": [{"event": "x"}, {"message": "sent"}, {"field": "plan", "operator": "null", "id": "rqb"}]}
    )
    assert isinstance(rule, Group)
    assert [type(term) for term in rule.rules] == [EventTerm, MessageTerm, FieldTerm]
