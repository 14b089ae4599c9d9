"""What the check of a rule finds, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from journeys.catalogue import Catalogue, EventSpec, FieldSpec
from journeys.errors import Issue
from journeys.rules import check_rule, parse_rule

CATALOGUE = (
    Catalogue.built_in()
    .with_fields(
        FieldSpec("plan", "string"),
        FieldSpec("age", "number"),
        FieldSpec("vip", "boolean"),
        FieldSpec("renews_at", "datetime"),
        FieldSpec("birthday", "date"),
        FieldSpec("interests", "list"),
        FieldSpec("address", "object"),
        FieldSpec("anything", "any"),
    )
    .with_events(EventSpec("Plan Chosen", {"plan": "string"}))
)


def issues(rule: dict[str, Any], **options: Any) -> list[Issue]:
    return check_rule(parse_rule(rule), CATALOGUE, "node1", "rule", **options)


def found(rule: dict[str, Any], **options: Any) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.field) for issue in issues(rule, **options)]


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "plan", "operator": "contains", "value": "pro"},
        {"field": "age", "operator": "between", "value": [18, 25]},
        {"field": "vip", "operator": "=", "value": True},
        {"field": "renews_at", "operator": "before", "value": "-P3D"},
        {"field": "renews_at", "operator": ">=", "value": "2026-01-01"},
        {"field": "birthday", "operator": "withinNext", "value": "P7D"},
        {"field": "interests", "operator": "contains", "value": "math"},
        {"field": "address.city", "operator": "=", "value": "Bern"},
        {"field": "address", "operator": "notNull"},
        {"field": "anything", "operator": ">", "value": 3},
        {"field": "trigger.whatever", "operator": "=", "value": 1},
        {"event": "Order Completed", "where": {"rules": [{"field": "total", "operator": ">", "value": 50}]}},
        {"event": "Order Completed", "where": {"rules": [{"field": "products", "operator": "contains", "value": "x"}]}},
        {"message": "clicked", "node": "w1"},
        {"rules": [{"field": "age", "operator": ">", "value": 5}, {"field": "age", "operator": "<", "value": 50}]},
        {"combinator": "or", "rules": [{"field": "age", "operator": ">", "value": 50}, {"field": "age", "operator": "<", "value": 5}]},
        {"rules": [{"field": "plan", "operator": "null"}, {"field": "plan", "operator": "!=", "value": "pro"}]},
        {"rules": [{"field": "age", "operator": "<=", "value": 5}, {"field": "age", "operator": ">=", "value": 5}]},
        {"rules": [{"field": "interests", "operator": "contains", "value": v} for v in ("a", "b")]},
    ],
)
def test_fine(rule: dict[str, Any]) -> None:
    assert issues(rule) == []


@pytest.mark.parametrize(
    ("rule", "code", "field"),
    [
        ({"field": "paln", "operator": "=", "value": "pro"}, "rule.unknown_field", "rule.field"),
        ({"field": "plan.name", "operator": "=", "value": "pro"}, "rule.unknown_field", "rule.field"),
        ({"field": "plan", "operator": ">", "value": 3}, "rule.operator", "rule.operator"),
        ({"field": "age", "operator": "contains", "value": "3"}, "rule.operator", "rule.operator"),
        ({"field": "interests", "operator": "=", "value": "math"}, "rule.operator", "rule.operator"),
        ({"field": "address", "operator": "=", "value": "Bern"}, "rule.operator", "rule.operator"),
        ({"field": "age", "operator": "=", "value": "36"}, "rule.operand_type", "rule.value"),
        ({"field": "plan", "operator": "in", "value": ["pro", 3]}, "rule.operand_type", "rule.value"),
        ({"field": "vip", "operator": "=", "value": 1}, "rule.operand_type", "rule.value"),
        ({"field": "plan", "operator": "=", "value": None}, "missing", "rule.value"),
        ({"field": "plan", "operator": "!=", "value": None}, "missing", "rule.value"),
        ({"field": "plan", "operator": "=", "value": ["a"]}, "rule.operand", "rule.value"),
        ({"field": "plan", "operator": "in", "value": []}, "missing", "rule.value"),
        ({"field": "plan", "operator": "in", "value": "a,b"}, "rule.operand", "rule.value"),
        ({"field": "plan", "operator": "contains", "value": ""}, "missing", "rule.value"),
        ({"field": "age", "operator": "between", "value": [25, 18]}, "rule.operand", "rule.value"),
        ({"field": "age", "operator": "between", "value": [25]}, "missing", "rule.value"),
        ({"field": "age", "operator": ">", "value": "tall"}, "rule.operand", "rule.value"),
        ({"field": "renews_at", "operator": "before", "value": "2026-02-30"}, "rule.operand", "rule.value"),
        ({"field": "renews_at", "operator": "withinLast", "value": "3 days"}, "rule.operand", "rule.value"),
        ({"field": "renews_at", "operator": "withinLast", "value": "-P3D"}, "rule.operand", "rule.value"),
        ({"event": "Order Complete"}, "rule.unknown_event", "rule.event"),
        ({"event": "Order Completed", "count": {"value": 0}}, "rule.count", "rule.count"),
        ({"event": "Plan Chosen", "where": {"rules": [{"field": "name", "operator": "null"}]}}, "rule.unknown_property", "rule.where.rules.0.field"),
        ({"event": "Plan Chosen", "where": {"rules": [{"tag": "vip"}]}}, "rule.only_properties", "rule.where.rules.0"),
        ({"message": "opened", "node": "w1"}, "rule.opens_uncertain", "rule"),
        ({"combinator": "and", "rules": []}, "rule.empty", "rule"),
        ({"event": "Order Completed", "since": "2026-02-30"}, "rule.date", "rule.since"),
        ({"event": "Order Completed", "since": ""}, "missing", "rule.since"),
        ({"event": "Order Completed", "before": "soon"}, "rule.date", "rule.before"),
        ({"event": "Order Completed", "before": "P3D"}, "rule.date", "rule.before"),
        ({"event": "Order Completed", "since": "2026-02-02", "before": "2026-02-01"}, "rule.period", "rule"),
        ({"event": "Order Completed", "within": "P30D", "before": "-P60D"}, "rule.period", "rule"),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "coupon", "value": 3}}, "rule.aggregate_type", "rule.aggregate.field"),
        ({"event": "Order Completed", "aggregate": {"of": "distinct", "field": "products", "value": 3}}, "rule.aggregate_type", "rule.aggregate.field"),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": "3"}}, "rule.operand", "rule.aggregate.value"),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": None}}, "missing", "rule.aggregate.value"),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "operator": "contains", "value": 3}}, "rule.operator", "rule.aggregate.operator"),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "totl", "value": 3}}, "rule.unknown_property", "rule.aggregate.field"),
        ({"event": "Order Completed", "aggregate": {"of": "distinct", "field": "coupon", "value": 0}}, "rule.count", "rule.aggregate"),
        ({"event": "Order Completed", "count": {"value": 2}, "aggregate": {"of": "sum", "field": "total", "value": 3}}, "rule.two_questions", "rule.count"),
        ({"event": "Order Completed", "aggregate": {"of": "last", "field": "total", "operator": "contains", "value": "x"}}, "rule.operator", "rule.aggregate.operator"),
        ({"event": "Order Completed", "where": {"field": "context.page.path", "operator": ">", "value": 3}}, "rule.operator", "rule.where.rules.0.operator"),
        ({"sequence": [{"event": "Signed Up"}, {"event": "Nobody Knows"}]}, "rule.unknown_event", "rule.sequence.1.event"),
        ({"sequence": [{"event": "Signed Up", "within": "P1D"}, {"event": "Signed In"}]}, "rule.first_step", "rule.sequence.0.within"),
        ({"rules": [{"tag": "a"}, {"rules": []}]}, "rule.empty", "rule.rules.1"),
        ({"rules": [{"tag": "a"}, {"rules": [{"field": "x", "operator": "null"}]}]}, "rule.unknown_field", "rule.rules.1.rules.0.field"),
        ({"rules": [{"field": "age", "operator": ">", "value": 50}, {"field": "age", "operator": "<", "value": 5}]}, "rule.contradiction", "rule.rules.1"),
        ({"rules": [{"field": "age", "operator": ">", "value": 5}, {"field": "age", "operator": "=", "value": 5}]}, "rule.contradiction", "rule.rules.1"),
        ({"rules": [{"field": "plan", "operator": "=", "value": v} for v in ("a", "b")]}, "rule.contradiction", "rule.rules.1"),
        ({"rules": [{"field": "plan", "operator": "null"}, {"field": "plan", "operator": "=", "value": "a"}]}, "rule.contradiction", "rule.rules.1"),
        (
            {"rules": [{"field": "renews_at", "operator": "after", "value": "2026-03-01"}, {"field": "renews_at", "operator": "before", "value": "2026-02-01"}]},
            "rule.contradiction",
            "rule.rules.1",
        ),
    ],
)  # fmt: skip
def test_problems(rule: dict[str, Any], code: str, field: str) -> None:
    assert found(rule) == [(code, field)]


def test_all_problems_at_once_with_the_node() -> None:
    rule = {"rules": [{"field": "x", "operator": "=", "value": None}, {"event": "y"}]}
    assert [issue.code for issue in issues(rule)] == ["rule.unknown_field", "missing", "rule.unknown_event"]
    assert {issue.node_id for issue in issues(rule)} == {"node1"}
    assert [issue.severity for issue in issues(rule)] == ["error", "error", "warning"]


def test_did_you_mean() -> None:
    assert issues({"field": "firstName", "operator": "null"})[0].message == "There is no field “firstName”. Did you mean “first_name”?"
    assert issues({"event": "Placed Order"})[0].message == "The event “Placed Order” is unknown so far. Did you mean “Order Completed”?"
    assert issues({"event": "order completed"})[0].values["meant"] == "Order Completed"
    assert issues({"field": "zzz", "operator": "null"})[0].message == "There is no field “zzz”."


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "trigger.total", "operator": ">", "value": 3},
        {"event": "Order Completed", "since_entry": True},
        {"message": "clicked", "node": "w1"},
    ],
)
def test_outside_a_run_nothing_of_it_can_be_asked(rule: dict[str, Any]) -> None:
    assert [code for code, _ in found(rule, scope="contact")] == ["rule.needs_run"]
    assert found(rule) == []


def test_the_trigger_is_known_where_the_entry_is() -> None:
    rule = {"field": "trigger.totl", "operator": ">", "value": 3}
    assert found(rule, triggers=["Order Completed"]) == [("rule.unknown_property", "rule.field")]
    assert found(rule, triggers=["Order Completed", "Something New"]) == []
    assert found({"field": "trigger.total", "operator": "contains", "value": "x"}, triggers=["Order Completed"]) == [
        ("rule.operator", "rule.operator")
    ]


def test_a_rule_on_an_event() -> None:
    assert found({"field": "plan", "operator": "=", "value": "pro"}, scope="event", event="Plan Chosen") == []
    assert found({"field": "planet", "operator": "null"}, scope="event", event="Plan Chosen") == [("rule.unknown_property", "rule.field")]
    assert found({"field": "planet", "operator": "null"}, scope="event") == []
    assert found({"score": "fit", "value": 1}, scope="event") == [("rule.only_properties", "rule")]
