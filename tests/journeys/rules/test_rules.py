"""Closures, explanations, dependencies. That SQL gives the same answers is shown in tests/crm/test_rules.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.rules import (
    DictFacts,
    EventTerm,
    Group,
    desugar,
    explain,
    holds,
    matches,
    needs_run,
    next_flip,
    normalise_deep,
    parse_rule,
    topics,
)
from journeys.rules.facts import Told
from journeys.rules.memo import LIMIT, Memo
from journeys.values import Received
from tests.journeys.rules import strategies

AS_OF = strategies.AS_OF


def happened(name: str, ago: timedelta = timedelta(0), **properties: Any) -> Received:
    return Received(id=1, name=name, properties=normalise_deep(properties), occurred_at=AS_OF - ago, arrived_at=AS_OF)


def ask(rule: dict[str, Any], facts: DictFacts, as_of: datetime = AS_OF) -> bool:
    return holds(parse_rule(rule), facts, as_of)


# --- Events ------------------------------------------------------------------------------------------------------


def test_an_event_leaves_the_window_at_the_instant() -> None:
    facts = DictFacts({}, events=[happened("Order Completed", timedelta(days=90))])
    rule = {"event": "Order Completed", "did": False, "within": "P90D"}
    assert ask(rule, facts)
    assert not ask(rule, facts, AS_OF - timedelta(microseconds=1))


def test_did_not_is_the_opposite_of_did() -> None:
    facts = DictFacts({}, events=[happened("Page Viewed"), happened("Page Viewed")])
    for operator in ("=", "!=", "<", "<=", ">", ">="):
        for value in range(4):
            count = {"operator": operator, "value": value}
            assert ask({"event": "Page Viewed", "count": count}, facts) is not ask(
                {"event": "Page Viewed", "count": count, "did": False}, facts
            )


def test_future_events_do_not_count() -> None:
    facts = DictFacts({}, events=[happened("Order Completed", timedelta(seconds=-1))])
    assert not ask({"event": "Order Completed"}, facts)


def test_since_entry_and_own_run_need_a_run() -> None:
    events = [happened("Order Completed", timedelta(days=2), run_id="run1"), happened("Order Completed", run_id="run2")]
    started = AS_OF - timedelta(days=1)
    inside = DictFacts({}, events=events, run_id="run1", run_started_at=started)
    outside = DictFacts({}, events=events)
    assert inside.occurrences(EventTerm(event="Order Completed", since_entry=True), AS_OF).count == 1
    assert inside.occurrences(EventTerm(event="Order Completed", own_run=True), AS_OF).newest_at == AS_OF - timedelta(days=2)
    assert outside.occurrences(EventTerm(event="Order Completed", since_entry=True), AS_OF).count == 0
    assert outside.occurrences(EventTerm(event="Order Completed", own_run=True), AS_OF).count == 0


# --- Messages ----------------------------------------------------------------------------------------------------


def test_machines_do_not_open() -> None:
    opened = {"message": "opened", "node": "w1"}
    by_machine = happened("Message Opened", node="w1", run_id="run1", machine=True)
    by_hand = happened("Message Opened", node="w1", run_id="run1", machine=False)
    assert not ask(opened, DictFacts({}, events=[by_machine], run_id="run1"))
    assert ask(opened, DictFacts({}, events=[by_machine, by_hand], run_id="run1"))


def test_a_node_means_the_message_of_this_run() -> None:
    other_run = happened("Message Clicked", node="w1", run_id="run0", journey="welcome")
    facts = DictFacts({}, events=[other_run], run_id="run1")
    assert not ask({"message": "clicked", "node": "w1"}, facts)
    assert ask({"message": "clicked", "node": "w1", "journey": "welcome"}, facts)
    assert ask({"message": "clicked"}, facts)


def test_a_message_term_is_short_for_an_event_term() -> None:
    term = parse_rule({"message": "sent", "template": "hello", "within": "P1D", "did": False})
    assert desugar(term) == EventTerm(
        event="Message Sent",
        did=False,
        within=timedelta(days=1),
        where=Group.model_validate({"rules": [{"field": "template", "operator": "=", "value": "hello"}]}),
    )


# --- Where -------------------------------------------------------------------------------------------------------


def test_where_sees_properties_and_nothing_else() -> None:
    where = parse_rule({"rules": [{"field": "cart.total", "operator": ">", "value": 50}]})
    assert matches(where, Told({"cart": {"total": 80}}), AS_OF)
    assert not matches(where, Told({"cart": [{"total": 80}]}), AS_OF)
    assert not matches(parse_rule({"tag": "vip"}), Told({"tag": "vip"}), AS_OF)
    assert matches(parse_rule({"not": True, "rules": [{"tag": "vip"}]}), Told({}), AS_OF)


# --- Explain -----------------------------------------------------------------------------------------------------


def test_explain_tells_what_was_found() -> None:
    facts = DictFacts({"plan": "pro" * 100}, ["vip"], {("email", "marketing"): "pending"}, {"fit": 12.5}, [happened("Order Completed")])
    rule = parse_rule(
        {
            "rules": [
                {"field": "plan", "operator": "beginsWith", "value": "pro"},
                {"combinator": "or", "rules": [{"tag": "vip", "has": False}, {"consent": "email"}]},
                {"score": "fit", "value": 20},
                {"event": "Order Completed"},
            ]
        }
    )
    rows = explain(rule, facts, AS_OF)
    assert [(row["path"], row["result"]) for row in rows] == [
        ("rules.0", True),
        ("rules.1.rules.0", False),
        ("rules.1.rules.1", False),
        ("rules.2", False),
        ("rules.3", True),
    ]
    assert [row["actual"] for row in rows[1:]] == [True, "pending", 12.5, {"count": 1, "newest_at": "2026-03-29T01:30:00.000000Z"}]
    assert len(rows[0]["actual"]) == 200
    assert rows[3]["term"] == {"score": "fit", "value": 20.0}


@settings(max_examples=100, deadline=None)
@given(strategies.rules(in_run=True), strategies.attributes, st.lists(strategies.events(), max_size=3))
def test_every_row_says_what_its_term_says(rule: Any, attributes: dict[str, Any], events: list[Any]) -> None:
    facts = DictFacts(attributes, events=[happened(name, AS_OF - at, **properties) for name, properties, at in events], run_id="run1")
    for row in explain(rule, facts, AS_OF):
        assert row["result"] is holds(parse_rule(row["term"]), facts, AS_OF)


# --- What a rule depends on ----------------------------------------------------------------------------------------


def test_topics() -> None:
    rule = parse_rule(
        {
            "rules": [
                {"field": "address.city", "operator": "null"},
                {"field": "trigger.total", "operator": ">", "value": 1},
                {"event": "Order Completed", "where": {"rules": [{"field": "total", "operator": ">", "value": 1}]}},
                {
                    "not": True,
                    "rules": [{"message": "opened", "node": "w1"}, {"consent": "sms"}, {"score": "fit", "value": 1}, {"tag": "vip"}],
                },
            ]
        }
    )
    assert topics(rule) == {"field:address", "event:Order Completed", "event:Message Opened", "consent", "score:fit", "tag:vip"}
    assert needs_run(rule)
    assert not needs_run(parse_rule({"message": "opened", "journey": "welcome"}))


@pytest.mark.parametrize(
    ("rule", "flips_in"),
    [
        ({"event": "Order Completed", "did": False, "within": "P90D"}, timedelta(days=88)),
        ({"event": "Order Completed", "within": "P90D", "count": {"value": 2}}, timedelta(days=80)),
        ({"event": "Order Completed", "within": "P90D", "count": {"operator": "<=", "value": 1}}, timedelta(days=80)),
        ({"event": "Order Completed", "within": "P90D", "count": {"operator": "<=", "value": 0}}, timedelta(days=88)),
        ({"event": "Order Completed", "within": "P1D"}, None),
        ({"event": "Order Completed"}, None),
        ({"field": "renews_at", "operator": "withinNext", "value": "P7D"}, timedelta(days=23)),
        ({"field": "renews_at", "operator": "withinNext", "value": "P31D"}, timedelta(days=30)),
        ({"field": "renews_at", "operator": "withinLast", "value": "P3D"}, timedelta(days=30)),
        ({"field": "renews_at", "operator": "before", "value": "P0D"}, timedelta(days=30, microseconds=1)),
        ({"field": "renews_at", "operator": "after", "value": "P0D"}, timedelta(days=30)),
        ({"field": "renews_at", "operator": "after", "value": "2026-12-31"}, None),
        ({"field": "missing", "operator": "withinNext", "value": "P7D"}, None),
        ({"event": "Order Completed", "within": "P90D", "aggregate": {"of": "sum", "field": "total", "value": 2}}, timedelta(days=80)),
        ({"event": "Order Completed", "within": "P90D", "aggregate": {"of": "last", "field": "total", "value": 2}}, timedelta(days=88)),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": 2}}, None),
        (
            {"event": "Order Completed", "aggregate": {"of": "last", "field": "until", "operator": "before", "value": "P0D"}},
            timedelta(days=1, microseconds=1),
        ),
        ({"event": "Order Completed", "before": "-P5D"}, timedelta(days=3, microseconds=1)),
        ({"event": "Order Completed", "before": "-P2D"}, timedelta(microseconds=1)),
        ({"event": "Order Completed", "before": "-P5D", "within": "P11D"}, timedelta(days=1)),
        ({"event": "Order Completed", "before": "-P30D"}, timedelta(days=20, microseconds=1)),
        ({"event": "Order Completed", "since": "2026-01-01", "before": "2026-03-01"}, None),
        ({"sequence": [{"event": "Order Completed"}, {"event": "Order Completed"}], "within": "P30D"}, timedelta(days=20)),
        ({"sequence": [{"event": "Order Completed"}] * 3, "within": "P30D"}, None),
        ({"sequence": [{"event": "Order Completed"}] * 2}, None),
        ({"tag": "vip"}, None),
        ({"rules": [{"tag": "vip", "has": False}, {"field": "renews_at", "operator": "withinNext", "value": "P7D"}]}, timedelta(days=23)),
        ({"rules": [{"tag": "vip"}, {"field": "renews_at", "operator": "withinNext", "value": "P7D"}]}, None),
        (
            {"combinator": "or", "rules": [{"tag": "vip"}, {"field": "renews_at", "operator": "withinNext", "value": "P7D"}]},
            timedelta(days=23),
        ),
        ({"combinator": "or", "rules": [{"tag": "vip", "has": False}, {"event": "Order Completed", "within": "P90D"}]}, None),
        ({"not": True, "rules": [{"rules": [{"tag": "vip"}, {"event": "Order Completed", "within": "P90D"}]}]}, None),
    ],
)
def test_next_flip(rule: dict[str, Any], flips_in: timedelta | None) -> None:
    events = [happened("Order Completed", timedelta(days=ago), until=(AS_OF + timedelta(days=1)).isoformat()) for ago in (2, 10)]
    facts = DictFacts({"renews_at": AS_OF + timedelta(days=30)}, events=events)
    expected = None if flips_in is None else AS_OF + flips_in
    assert next_flip(parse_rule(rule), facts, AS_OF) == expected


def test_a_sequence_that_begins_anew_flips_when_the_last_one_loses_its_beginning() -> None:
    days = {"A": (20, 9, 5), "B": (12, 8)}
    facts = DictFacts({}, events=[happened(name, timedelta(days=ago)) for name, agos in days.items() for ago in agos])
    rule = parse_rule({"sequence": [{"event": "A"}, {"event": "B", "within": "P1D"}], "within": "P30D"})
    assert holds(rule, facts, AS_OF)
    assert next_flip(rule, facts, AS_OF) == AS_OF + timedelta(days=21), "of the second, for the first took too long"


gaps = st.sampled_from([timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=3), timedelta(days=41)])


@settings(max_examples=300, deadline=None)
@given(strategies.rules(in_run=True), strategies.attributes, st.lists(strategies.events(), max_size=3), gaps)
def test_nothing_changes_before_the_next_flip(rule: Any, attributes: dict[str, Any], events: list[Any], gap: timedelta) -> None:
    received = [happened(name, AS_OF - at, **properties) for name, properties, at in events]
    facts = DictFacts({**attributes, "created_at": AS_OF}, events=received, run_id="run1", run_started_at=AS_OF - timedelta(days=3))
    now = holds(rule, facts, AS_OF)
    flip = next_flip(rule, facts, AS_OF)
    later = AS_OF + gap if flip is None else min(AS_OF + gap, flip - timedelta(microseconds=1))
    assert holds(rule, facts, later) is now
    if flip is not None:
        assert flip > AS_OF


# --- Memory ------------------------------------------------------------------------------------------------------


def test_equal_rules_of_different_types_are_not_mixed_up() -> None:
    """`1 == True` in Python, and pydantic calls these two terms equal."""
    facts = DictFacts({"on": True})
    assert ask({"field": "on", "operator": "=", "value": True}, facts)
    assert not ask({"field": "on", "operator": "=", "value": 1}, facts)


def test_memo_forgets_when_it_is_full() -> None:
    made: list[int] = []
    memo: Memo[tuple[int], int] = Memo(lambda key: made.append(key[0]) or key[0])
    keys = [(number,) for number in range(LIMIT + 1)]
    assert [memo(key) for key in keys] == [key[0] for key in keys]
    assert memo(keys[-1]) == LIMIT
    assert len(made) == LIMIT + 1
    assert memo(keys[0]) == 0
    assert len(made) == LIMIT + 2


def test_facts_as_given_are_normalised() -> None:
    facts = DictFacts({"since": "2026-03-01T09:30:00+01:00"}, trigger={"at": "2026-03-01 09:30"})
    assert facts.value("since") == "2026-03-01T08:30:00.000000Z"
    assert facts.value("trigger.at") == "2026-03-01T09:30:00.000000Z"
    assert facts.next_owner("sales") is None
    assert DictFacts({}, rotations={"sales": ["m2", "m1"]}).next_owner("sales") == "m2"


@pytest.mark.parametrize(
    ("rule", "flips_at"),
    [
        ({"consent_age": "email", "age": "P30D"}, AS_OF + timedelta(days=20)),
        ({"consent_age": "email", "operator": "<", "age": "P30D"}, AS_OF + timedelta(days=20)),
        ({"consent_age": "email", "value": "withdrawn", "age": "P30D"}, None),
        ({"lead_source": "last", "within": "P30D"}, AS_OF + timedelta(days=25)),
        ({"lead_source": "first", "within": "P30D"}, None),
        ({"lead_source": "last", "attribute": "utm_source", "value": "news"}, None),
    ],
)
def test_what_grows_old_says_when(rule: dict[str, Any], flips_at: datetime | None) -> None:
    key = ("email", "marketing")
    facts = DictFacts(
        {},
        consents={key: "granted"},
        consents_said_at={key: AS_OF - timedelta(days=10)},
        touches={"last": {"utm_source": "news", "at": AS_OF - timedelta(days=5)}},
    )
    parsed = parse_rule(rule)
    assert next_flip(parsed, facts, AS_OF) == flips_at
    if flips_at is not None:
        before, after = (holds(parsed, facts, flips_at + step) for step in (-timedelta(microseconds=1), timedelta(0)))
        assert before is not after
