"""`steps.<node>.<field>`: one name for what a step has left, in rules, copies, placeholders and bodies; the check knows steps and fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from crm.rules import expression as sql_rules
from engine.interpreter.simulate import Script, simulate
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.custom import activity
from journeys.document import Journey
from journeys.errors import Invalid
from journeys.nodes import Palette
from journeys.reading import read
from journeys.results import names_of
from journeys.rules import Group
from journeys.rules.sentence import sentence


class Given(BaseModel):
    note: str = ""
    level: int = 0


class Found(BaseModel):
    """What the step leaves."""

    level: int
    since: datetime
    words: list[str]


@activity(name="look", title="Look up", results=Found)
def look(ctx, input: Given) -> None:
    """Looks it up."""


@activity(name="odd", title="Odd")
def odd(ctx, input: Given) -> None:
    """Says nothing about what it leaves."""


PALETTE = Palette.built_in().with_kinds(look.node, odd.node)


def journey(rule: dict[str, Any] | None = None, **more: Any) -> Journey:
    """A webhook, a look-up and an odd step, then the question, then what `more` says."""
    nodes = {
        "call": {"kind": "call_webhook", "url": "https://erp.example.com/x"},
        "look": {"kind": "custom.look"},
        "odd": {"kind": "custom.odd"},
        "ask": {"kind": "if_else", "rule": {"combinator": "and", "rules": [rule] if rule else []}},
        "then": more or {"kind": "update_contact", "add_tags": ["x"]},
        "yes": {"kind": "exit", "reason": "yes"},
        "no": {"kind": "exit", "reason": "no"},
    }
    edges = [
        {"from": "call", "outlet": "ok", "to": "look"},
        {"from": "call", "outlet": "failed", "to": "look"},
        {"from": "look", "to": "odd"},
        {"from": "odd", "to": "ask"},
        {"from": "ask", "outlet": "yes", "to": "then"},
        {"from": "ask", "outlet": "no", "to": "no"},
        *({"from": "then", "outlet": outlet, "to": "yes"} for outlet in (("ok", "failed") if more.get("url") else ("next",))),
    ]
    entry = {"triggers": [{"type": "event", "event": "Signed Up"}]}
    return read({"spec": 1, "key": "j", "name": "J", "entry": entry, "start": "call", "nodes": nodes, "edges": edges})


def term(field: str, value: Any, operator: str = "=") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def issues(document: Journey, code: str) -> list[tuple[str | None, str | None, Any]]:
    found = check(document, PALETTE, Catalogue.built_in())
    return [(issue.node_id, issue.field, issue.values.get("near")) for issue in found if issue.code == code]


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        (term("steps.call.answer.id", 7), {}),
        (term("steps.call.status", 200), {}),
        (term("steps.look.level", 3, ">="), {}),
        (term("steps.odd.whatever.there.is", "x"), {}),
        (term("steps.cal.status", 200), {"unknown_node": "call"}),
        (term("steps.look.levle", 3), {"unknown_result": "level"}),
        (term("steps.call.token", 3), {"unknown_result": None}),
        (term("steps.look", 3), {"unknown_result": None}),
        (term("steps.yes.reason", "yes"), {"unknown_result": None}),
        (term("steps.look.level", "high"), {"rule.operand_type": None}),
        (term("steps.look.words", 3, ">="), {"rule.operator": None}),
    ],
)
def test_the_check_knows_what_each_step_leaves(rule: dict[str, Any], problems: dict[str, Any]) -> None:
    found = check(journey(rule), PALETTE, Catalogue.built_in())
    assert {issue.code: issue.values.get("near") for issue in found if issue.node_id == "ask"} == problems


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "call_webhook", "url": "https://erp.example.com/{{ steps.{}.level }}"}, "url"),
        ({"kind": "call_webhook", "url": "https://erp.example.com/", "body": {"a": ["{{ steps.{}.level }}"]}}, "body"),
        ({"kind": "custom.odd", "input": {"level": "{{ steps.{}.level|default(0) }}"}}, "input"),
        ({"kind": "create_task", "title": "{{ steps.{}.level }}"}, "title"),
        ({"kind": "notify_team", "to": ["owner"], "text": "{{ steps.{}.level }}"}, "text"),
        ({"kind": "update_contact", "set": {"last_name": {"from": "steps.{}.level"}}}, "set.last_name.from"),
    ],
)
def test_the_name_is_the_same_wherever_values_are_filled_in(more: dict[str, Any], field: str) -> None:
    def with_step(data: Any, step: str) -> Any:
        if isinstance(data, dict):
            return {key: with_step(value, step) for key, value in data.items()}
        if isinstance(data, list):
            return [with_step(value, step) for value in data]
        return data.replace("steps.{}", f"steps.{step}") if isinstance(data, str) else data

    assert issues(journey(**with_step(more, "look")), "unknown_node") == []
    assert issues(journey(**with_step(more, "lok")), "unknown_node") == [("then", field, "look")]


def walked(document: Journey, results: dict[str, Any]) -> Any:
    return simulate(compile_journey(document, PALETTE), Script.model_validate({"results": results}))


@pytest.mark.parametrize(("level", "ends"), [(3, "yes"), (2, "no"), ("3", "no"), (None, "no")])
def test_a_rule_asks_what_a_step_has_left(level: Any, ends: str) -> None:
    document = journey(term("steps.look.level", 3, ">="))
    assert walked(document, {"look": {"level": level}}).ended == ends
    assert walked(document, {}).ended == "no"


def test_what_a_step_has_left_is_copied_and_filled_in_as_it_is() -> None:
    place = "{{ steps.call.answer.order.total }}"
    left = {"call": {"answer": {"order": {"total": 12.5}}}}
    asked = term("steps.call.answer.order.total", 12, ">")
    copied = walked(journey(asked, kind="update_contact", set={"spent": {"from": "steps.call.answer.order.total"}}), left)
    assert [change.fields for change in copied.changes] == [{"spent": 12.5}]
    called = walked(
        journey(asked, kind="call_webhook", url="https://erp.example.com/", body={"total": place, "text": f"{place} CHF"}), left
    )
    assert called.calls[-1]["input"]["body"] == {"total": 12.5, "text": "12.5 CHF"}


def test_results_of_a_step_that_is_not_there_do_not_fit_the_scenario() -> None:
    with pytest.raises(Invalid) as refused:
        walked(journey(), {"lok": {}})
    assert [issue.field for issue in refused.value.issues] == ["results.lok"]


def test_a_field_of_the_contact_is_not_called_so() -> None:
    document = journey(kind="update_contact", set={"steps.look.level": 3})
    assert issues(document, "unknown_field") == [("then", "set.steps.look.level", None)]


def test_before_there_is_a_run_nothing_was_left() -> None:
    rule = Group.model_validate({"combinator": "and", "rules": [term("steps.look.level", 3)]})
    with pytest.raises(Invalid) as refused:
        sql_rules.expression(rule, datetime(2026, 3, 2, tzinfo=UTC))
    assert [issue.code for issue in refused.value.issues] == ["rule.needs_run"]
    document = journey().model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["entry"]["filter"] = rule.model_dump(mode="json")
    assert issues(read({"spec": 1, **document}), "rule.needs_run") == [(None, "entry.filter.rules.0.field", None)]


def test_a_sentence_names_step_and_field() -> None:
    rule = Group.model_validate({"combinator": "and", "rules": [term("steps.look.level", 3, ">=")]})
    assert "level of the step “look”" in sentence(rule, str)


def test_forms_offer_what_is_known() -> None:
    assert names_of({"call": {"status": "any"}, "odd": None, "end": {}}) == ["steps.call.status", "steps.odd."]
