from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.document import Journey
from journeys.errors import Issue
from journeys.known import Known, KnownTemplate
from journeys.nodes import Palette
from journeys.reading import read
from tests.journeys.graphs import KNOWN, documents

EVERYTHING = Known(
    templates={
        "mail": KnownTemplate(),
        "plain": KnownTemplate(unsubscribe=False),
        "code": KnownTemplate(channel="sms"),
        "footer": KnownTemplate(channel="partial"),
    },
    pools={"sales"},
    journeys={"other"},
    secrets={"erp"},
    purposes={"marketing", "product"},
    score_groups={"fit"},
)
GOLD = {"field": "plan", "operator": "=", "value": "gold"}


def journey(node: dict[str, Any] | None = None, **document: Any) -> Journey:
    """A sound journey of one step and an exit; every outlet of the step leads there."""
    step = {"kind": "wait", "duration": "PT1H"} if node is None else node
    parsed = Palette.built_in().parse("a", step)
    outlets = ("next",) if isinstance(parsed, list) else parsed.outlets()
    edges = [{"from": "a", "outlet": outlet, "to": "end"} for outlet in outlets]
    base = {
        "key": "j",
        "name": "J",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "a",
        "nodes": {"a": step, "end": {"kind": "exit"}},
        "edges": edges,
    }
    return Journey.model_validate(base | document)


def issues(draft: Journey, known: Known = EVERYTHING) -> list[Issue]:
    return check(draft, Palette.built_in(), Catalogue.built_in(), known)


def places(draft: Journey) -> list[tuple[str | None, str | None, str]]:
    return [(issue.node_id, issue.field, issue.code) for issue in issues(draft)]


def test_a_sound_journey_has_no_issues() -> None:
    assert issues(journey()) == []


DOCUMENTS: dict[str, tuple[dict[str, Any], tuple[str | None, str]]] = {
    "no trigger": ({"entry": {}}, ("entry.triggers", "no_trigger")),
    "an event never seen": (
        {"entry": {"triggers": [{"type": "event", "event": "Signd Up"}]}},
        ("entry.triggers.0.event", "unknown_event"),
    ),
    "a field that is not there": (
        {"entry": {"triggers": [{"type": "date", "field": "birthday"}]}},
        ("entry.triggers.0.field", "unknown_field"),
    ),
    "a schedule that cannot be read": (
        {"entry": {"triggers": [{"type": "schedule", "cron": "0 25 * * *", "rule": {"tag": "vip"}}]}},
        ("entry.triggers.0.cron", "bad_cron"),
    ),
    "a schedule cannot ask about a run": (
        {"entry": {"triggers": [{"type": "schedule", "cron": "0 8 * * *", "rule": {"event": "Order Completed", "since_entry": True}}]}},
        ("entry.triggers.0.rule", "rule.needs_run"),
    ),
    "a score that is not there": (
        {"entry": {"triggers": [{"type": "score", "group": "fitt", "at_least": 1}]}},
        ("entry.triggers.0.group", "unknown_score"),
    ),
    "one run per key, without a key": (
        {"entry": {"triggers": [{"type": "manual"}], "reentry": {"policy": "per_key"}}},
        ("entry.reentry.key", "no_key"),
    ),
    "after a window, without a window": (
        {"entry": {"triggers": [{"type": "manual"}], "reentry": {"policy": "after_window"}}},
        ("entry.reentry.window", "no_window"),
    ),
    "a cap per no time": (
        {"entry": {"triggers": [{"type": "manual"}], "cap": {"count": 5, "per": "PT0S"}}},
        ("entry.cap.per", "no_window"),
    ),
    "a filter on an unknown field": (
        {"entry": {"triggers": [{"type": "manual"}], "filter": {"field": "plann", "operator": "=", "value": "gold"}}},
        ("entry.filter.field", "rule.unknown_field"),
    ),
    "an exit of nothing": ({"exit_when": [{}]}, ("exit_when.0.event", "missing")),
    "an exit of two things": ({"exit_when": [{"event": "Order Completed", "rule": {"tag": "vip"}}]}, ("exit_when.0", "bad_exit")),
    "an exit by a key that runs do not have": (
        {"exit_when": [{"event": "Order Completed", "match_key": "cart_id"}]},
        ("exit_when.0.match_key", "no_key"),
    ),
    "a goal without a window": ({"goal": {"event": "Order Completed", "window": "PT0S"}}, ("goal.window", "no_window")),
    "a goal counts a property that is not there": (
        {"goal": {"event": "Order Completed", "value": "totl"}},
        ("goal.value", "unknown_property"),
    ),
    "a zone that is not there": ({"settings": {"timezone": "Europe/Basel"}}, ("settings.timezone", "unknown_timezone")),
    "a purpose that is not there": ({"settings": {"purpose": "newsletter"}}, ("settings.purpose", "unknown_purpose")),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_problems_of_the_document(name: str) -> None:
    changes, (field, code) = DOCUMENTS[name]
    assert places(journey(**changes)) == [(None, field, code)]


NODES: dict[str, tuple[dict[str, Any], tuple[str | None, str]]] = {
    "an unknown field in a rule": ({"kind": "if_else", "rule": GOLD}, ("rule.field", "rule.unknown_field")),
    "bounds that exclude each other": (
        {
            "kind": "if_else",
            "rule": {
                "rules": [
                    {"field": "created_at", "operator": "after", "value": "2026-02-01"},
                    {"field": "created_at", "operator": "before", "value": "2026-01-01"},
                ]
            },
        },
        ("rule.rules.1", "rule.contradiction"),
    ),
    "a message of a step that is not there": (
        {"kind": "if_else", "rule": {"message": "clicked", "node": "mail1"}},
        ("rule.node", "unknown_message"),
    ),
    "a message of a step that sends none": (
        {"kind": "if_else", "rule": {"message": "clicked", "node": "end"}},
        ("rule.node", "unknown_message"),
    ),
    "a property of an event that it never had": (
        {
            "kind": "wait_for",
            "branches": [{"name": "x", "event": "Order Completed", "where": {"field": "totl", "operator": ">", "value": 1}}],
            "timeout": "P1D",
        },
        ("branches.0.where.field", "rule.unknown_property"),
    ),
    "an event never seen": (
        {"kind": "wait_for", "branches": [{"name": "x", "event": "order completed"}], "timeout": "P1D"},
        ("branches.0.event", "unknown_event"),
    ),
    "a template that is not there": ({"kind": "send_email", "template": "mial"}, ("template", "unknown_template")),
    "a template of another channel": ({"kind": "send_email", "template": "code"}, ("template", "wrong_channel")),
    "a partial": ({"kind": "send_email", "template": "footer"}, ("template", "wrong_channel")),
    "no way to unsubscribe": ({"kind": "send_email", "template": "plain"}, ("template", "no_unsubscribe")),
    "a control group that nobody is in": (
        {"kind": "send_email", "template": "plain", "message_class": "transactional", "hold_out": 5},
        ("hold_out", "idle_hold_out"),
    ),
    "a pool that is not there": ({"kind": "assign_owner", "pool": "sale"}, ("pool", "unknown_pool")),
    "a journey that is not there": ({"kind": "start_journey", "journey": "othr"}, ("journey", "unknown_journey")),
    "the journey itself": ({"kind": "end_journey", "journey": "j"}, ("journey", "own_journey")),
    "a secret that is not there": (
        {"kind": "call_webhook", "url": "https://example.com/", "secret": "epr"},
        ("secret", "unknown_secret"),
    ),
    "a secret in a header that is not there": (
        {"kind": "call_webhook", "url": "https://example.com/", "headers": {"Authorization": {"secret": "epr", "prefix": "Bearer "}}},
        ("headers.Authorization.secret", "unknown_secret"),
    ),
    "an unknown value in a text": (
        {"kind": "notify_team", "to": ["owner"], "text": "{{ contact.fist_name }}"},
        ("text", "unknown_field"),
    ),
    "an unknown field to set": ({"kind": "update_contact", "set": {"plan": "gold"}}, ("set.plan", "unknown_field")),
    "an unknown field to copy": (
        {"kind": "update_contact", "set": {"owner": {"from": "boss"}}},
        ("set.owner.from", "unknown_field"),
    ),
    "a score that is not there": ({"kind": "change_score", "points": 1}, ("group", "unknown_score")),
    "a purpose that is not there": ({"kind": "send_email", "template": "mail", "purpose": "news"}, ("purpose", "unknown_purpose")),
    "a task of a step that is not there": ({"kind": "wait_for_task", "task": "call", "timeout": "P1D"}, ("task", "unknown_node")),
    "a task of a step that makes none": ({"kind": "wait_for_task", "task": "end", "timeout": "P1D"}, ("task", "not_a_task")),
    "a very long wait": ({"kind": "wait", "duration": "P400D"}, (None, "long_wait")),
}


@pytest.mark.parametrize("name", NODES)
def test_problems_of_a_node(name: str) -> None:
    node, (field, code) = NODES[name]
    assert places(journey(node)) == [("a", field, code)]


def test_a_task_and_its_wait_must_agree() -> None:
    nodes = {
        "a": {"kind": "create_task", "title": "Call", "outcomes": ["won", "lost"]},
        "b": {"kind": "wait_for_task", "task": "a", "outcomes": ["won"]},
        "end": {"kind": "exit"},
    }
    edges = [{"from": "a", "to": "b"}, {"from": "b", "outlet": "won", "to": "end"}, {"from": "b", "outlet": "overdue", "to": "end"}]
    assert places(journey(nodes=nodes, edges=edges)) == [("b", "outcomes", "outcome_mismatch"), ("b", "timeout", "endless_wait")]


def test_a_transactional_mail_needs_no_unsubscribe_link() -> None:
    assert places(journey({"kind": "send_email", "template": "plain", "message_class": "transactional"})) == []


def test_names_are_suggested() -> None:
    first = issues(journey({"kind": "send_email", "template": "mial"}))[0]
    assert first.message == "There is no template “mial”. Did you mean “mail”?"


def test_what_nobody_knows_is_not_checked() -> None:
    draft = journey({"kind": "assign_owner", "pool": "anything"})
    assert check(draft, Palette.built_in(), Catalogue.built_in()) == []


def test_problems_of_the_document_come_first_then_node_by_node() -> None:
    draft = journey({"kind": "send_email", "template": "mial"}, entry={}, exit_when=[{}])
    assert [node_id for node_id, _, _ in places(draft)] == [None, None, "a"]


def test_every_sentence_can_be_said() -> None:
    for changes, _ in DOCUMENTS.values():
        assert all(issue.message and "{" not in issue.message for issue in issues(journey(**changes)))
    for node, _ in NODES.values():
        assert all(issue.message for issue in issues(journey(node)))


@settings(max_examples=30, deadline=None)
@given(documents(cycles=True))
def test_grown_journeys_have_no_errors(document: dict[str, Any]) -> None:
    found = check(read(document), Palette.built_in(), Catalogue.built_in(), KNOWN)
    assert [issue.message for issue in found] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(documents(max_nodes=8), st.data())
def test_a_document_with_one_thing_spoilt_is_checked_without_a_crash(document: dict[str, Any], data: st.DataObject) -> None:
    node_id = data.draw(st.sampled_from(sorted(document["nodes"])))
    node = document["nodes"][node_id]
    node[data.draw(st.sampled_from([*sorted(node), "surprise"]))] = data.draw(JSON)
    found = issues(Journey.model_validate(document))
    assert all(issue.message for issue in found)
    json.dumps([issue.model_dump() for issue in found])
