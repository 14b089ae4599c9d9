"""A typing mistake in a condition is told with its place, wherever a condition can stand; what is stored stays readable."""

from __future__ import annotations

from typing import Any

import pytest

from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.errors import Invalid
from journeys.nodes import Palette
from journeys.reading import read
from journeys.stray import MOST_TOLD

TYPO = {"event": "Order Completed", "witin": "P3D"}
"""Without `within` it asks about all time."""
NESTED = {"combinator": "and", "rules": [{"combinator": "or", "rules": [TYPO]}]}
IN_DOCUMENT: dict[str, tuple[dict[str, Any], str]] = {
    "filter": ({"entry": {"triggers": [{"type": "manual"}], "filter": TYPO}}, "entry.filter.witin"),
    "deep filter": ({"entry": {"triggers": [{"type": "manual"}], "filter": NESTED}}, "entry.filter.rules.0.rules.0.witin"),
    "where": (
        {"entry": {"triggers": [{"type": "event", "event": "Paid", "where": {"field": "total", "operator": ">", "vaule": 5}}]}},
        "entry.triggers.0.where.vaule",
    ),
    "schedule": ({"entry": {"triggers": [{"type": "schedule", "cron": "0 9 * * *", "rule": TYPO}]}}, "entry.triggers.0.rule.witin"),
    "exit": ({"exit_when": [{"event": "Paid"}, {"rule": TYPO}]}, "exit_when.1.rule.witin"),
    "goal": (
        {"goal": {"event": "Paid", "window": "P7D", "where": {"field": "total", "operator": ">", "value": 5, "not": True}}},
        "goal.where.not",
    ),
}
IN_STEP: dict[str, tuple[dict[str, Any], str]] = {
    "if_else": ({"kind": "if_else", "rule": NESTED}, "rule.rules.0.rules.0.witin"),
    "count": ({"kind": "if_else", "rule": {"event": "Paid", "count": {"op": ">="}}}, "rule.count.op"),
    "switch": ({"kind": "switch", "cases": [{"name": "a", "rule": TYPO}]}, "cases.0.rule.witin"),
    "wait_for": ({"kind": "wait_for", "branches": [{"name": "a", "rule": TYPO}], "timeout": "P1D"}, "branches.0.rule.witin"),
    "wait_for where": (
        {
            "kind": "wait_for",
            "branches": [{"name": "a", "event": "Paid", "where": {"field": "t", "operator": "=", "val": 1}}],
            "timeout": "P1D",
        },
        "branches.0.where.val",
    ),
}


def document(**changes: Any) -> dict[str, Any]:
    base = {
        "spec": 1,
        "key": "j",
        "name": "J",
        "entry": {"triggers": [{"type": "manual"}]},
        "start": "end",
        "nodes": {"end": {"kind": "exit"}},
        "edges": [],
    }
    return base | changes


@pytest.mark.parametrize("place", IN_DOCUMENT)
def test_a_document_that_is_handed_in_is_refused_with_the_place(place: str) -> None:
    changes, field = IN_DOCUMENT[place]
    with pytest.raises(Invalid) as refused:
        read(document(**changes), strict=True)
    assert [(issue.code, issue.field) for issue in refused.value.issues] == [("rule.unknown_key", field)]
    assert read(document(**changes)).key == "j", "stored ones stay readable"


def test_what_was_probably_meant_is_said() -> None:
    with pytest.raises(Invalid) as refused:
        read(document(**IN_DOCUMENT["filter"][0]), strict=True)
    assert refused.value.issues[0].message == "A condition has no “witin”. Did you mean “within”?"


@pytest.mark.parametrize("place", IN_STEP)
def test_a_step_is_checked_with_the_place(place: str) -> None:
    step, field = IN_STEP[place]
    draft = read(document(start="a", nodes={"a": step, "end": {"kind": "exit"}}), strict=True)
    found = [issue for issue in check(draft, Palette.built_in(), Catalogue.built_in()) if issue.code == "rule.unknown_key"]
    assert [(issue.node_id, issue.field, issue.severity) for issue in found] == [("a", field, "error")]


def test_a_published_version_runs_on() -> None:
    edges = [{"from": "a", "outlet": outlet, "to": "end"} for outlet in ("yes", "no")]
    stored = document(start="a", nodes={"a": IN_STEP["if_else"][0], "end": {"kind": "exit"}}, edges=edges)
    assert compile_journey(read(stored), Palette.built_in()).start == "a"


def test_what_react_querybuilder_writes_beside_is_no_mistake() -> None:
    rule = {
        "id": "g-1",
        "combinator": "and",
        "rules": [{"id": "r-1", "path": [0], "field": "plan", "operator": "=", "value": "gold", "disabled": False}],
    }
    assert read(document(entry={"triggers": [{"type": "manual"}], "filter": rule}), strict=True)


def test_not_all_of_a_thousand_mistakes_are_told() -> None:
    rule = {"combinator": "and", "rules": [TYPO] * 100}
    with pytest.raises(Invalid) as refused:
        read(document(entry={"triggers": [{"type": "manual"}], "filter": rule}), strict=True)
    assert len(refused.value.issues) == MOST_TOLD
