from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from bench.graphs import journey_document
from journeys.document import Journey
from journeys.graph import build
from journeys.nodes import Palette
from tests.journeys.graphs import documents

WAIT = {"kind": "wait", "duration": "PT1H"}
BLINK = {"kind": "wait", "duration": "PT20S"}
EXIT = {"kind": "exit"}
MAIL = {"kind": "send_email", "template": "mail"}
ASK = {"kind": "if_else", "rule": {"tag": "vip"}}


def drawing(nodes: dict[str, Any], *edges: str, start: str | None = "a") -> Journey:
    """Edges as "a b" or "a.outlet b"."""
    drawn = [edge.split() for edge in edges]
    split = [(*source.partition("."), to) for source, to in drawn]
    raw = [{"from": source, "outlet": outlet or "next", "to": to} for source, _, outlet, to in split]
    return Journey.model_validate({"key": "j", "name": "J", "start": start, "nodes": nodes, "edges": raw})


def codes(journey: Journey) -> list[tuple[str | None, str]]:
    return [(issue.node_id, issue.code) for issue in build(journey, Palette.built_in()).issues]


SOUND = {"a": WAIT, "b": EXIT}

BROKEN: dict[str, tuple[Journey, list[tuple[str | None, str]]]] = {
    "no first step": (drawing(SOUND, "a b", start=None), [(None, "no_start")]),
    "a first step that is not there": (drawing(SOUND, "a b", start="z"), [(None, "unknown_start")]),
    "an empty document": (drawing({}, start=None), [(None, "no_start")]),
    "nothing follows": (drawing({"a": WAIT}), [("a", "missing_edge")]),
    "one of two is missing": (drawing({"a": ASK, "b": EXIT}, "a.yes b"), [("a", "missing_edge")]),
    "an edge to nowhere": (drawing(SOUND, "a b", "a.x z"), [("a", "edge_to_nowhere")]),
    "an edge from nowhere": (drawing(SOUND, "a b", "z b"), [(None, "edge_from_nowhere")]),
    "an outlet that is not there": (drawing(SOUND, "a b", "a.nxt b"), [("a", "unknown_outlet")]),
    "an edge out of an exit": (drawing(SOUND, "a b", "b a"), [("b", "unknown_outlet")]),
    "two edges out of one outlet": (drawing(SOUND, "a b", "a b"), [("a", "duplicate_edge")]),
    "a step that nobody reaches": (drawing({**SOUND, "c": EXIT}, "a b"), [("c", "unreachable")]),
    "an unknown kind is one problem, not many": (drawing({"a": {"kind": "wiat"}, "b": EXIT}, "a b"), [("a", "unknown_kind")]),
    "no kind": (drawing({"a": {}, "b": EXIT}, "a b"), [("a", "kind_missing")]),
    "a field that does not fit": (drawing({"a": {**WAIT, "duration": "P9Y"}, "b": EXIT}, "a b"), [("a", "less_than_equal")]),
    "two branches of one name": (
        drawing({"a": {"kind": "split", "arms": [{"name": "x", "percent": 50}, {"name": "x", "percent": 50}]}, "b": EXIT}, "a.x b"),
        [("a", "duplicate_outlet")],
    ),
    "sent has no edge": (drawing({"a": MAIL, "b": EXIT}, "a.failed b"), [("a", "missing_edge")]),
    "a cycle without a wait": (drawing({"a": MAIL, "b": ASK, "c": EXIT}, "a.sent b", "b.yes a", "b.no c"), [("a", "cycle_without_wait")]),
    "a step that leads to itself": (drawing({"a": ASK, "b": EXIT}, "a.yes a", "a.no b"), [("a", "cycle_without_wait")]),
    "a cycle that waits too little": (
        drawing({"a": BLINK, "b": BLINK, "c": ASK, "d": EXIT}, "a b", "b c", "c.yes a", "c.no d"),
        [("a", "cycle_without_wait")],
    ),
    "the quick one of two rounds": (
        drawing({"a": WAIT, "b": ASK, "c": ASK, "d": EXIT}, "a b", "b.yes c", "b.no d", "c.yes a", "c.no b"),
        [("b", "cycle_without_wait")],
    ),
}

FINE = {
    "a cycle with a wait": drawing({"a": WAIT, "b": ASK, "c": EXIT}, "a b", "b.yes a", "b.no c"),
    "three short waits make a minute": drawing(
        {"a": BLINK, "b": BLINK, "c": BLINK, "d": ASK, "e": EXIT}, "a b", "b c", "c d", "d.yes a", "d.no e"
    ),
    "a cycle through the time-out of a wait": drawing(
        {
            "a": {"kind": "wait_for", "branches": [{"name": "bought", "event": "Order Completed"}], "timeout": "P1D"},
            "b": MAIL,
            "c": EXIT,
        },
        "a.bought c",
        "a.timed_out b",
        "b.sent a",
    ),
    "skipped and failed go the way of sent": drawing({"a": MAIL, "b": EXIT}, "a.sent b"),
    "a time of day in a cycle": drawing(
        {"a": {"kind": "wait_until", "until": {"type": "clock", "at": "09:00"}}, "b": ASK, "c": EXIT}, "a b", "b.yes a", "b.no c"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_problem_is_named_once_with_its_place(name: str) -> None:
    journey, expected = BROKEN[name]
    assert codes(journey) == expected


@pytest.mark.parametrize("name", FINE)
def test_a_sound_drawing_has_no_issues(name: str) -> None:
    assert codes(FINE[name]) == []


def test_a_cycle_through_an_event_needs_a_wait() -> None:
    wait = {"kind": "wait_for", "branches": [{"name": "bought", "event": "Order Completed"}], "timeout": "P1D"}
    journey = drawing({"a": wait, "b": MAIL, "c": EXIT}, "a.bought b", "a.timed_out c", "b.sent a")
    assert codes(journey) == [("a", "cycle_without_wait")]


def test_all_problems_come_at_once() -> None:
    journey = drawing({"a": {"kind": "wiat"}, "b": {**WAIT, "duration": "x"}, "c": ASK, "d": EXIT}, "a d", "q d")
    assert {code for _, code in codes(journey)} == {
        "unknown_kind",
        "time_delta_parsing",
        "edge_from_nowhere",
        "missing_edge",
        "unreachable",
    }


def test_a_kind_that_was_meant_is_suggested() -> None:
    issue = build(drawing({"a": {"kind": "wait_untill"}}), Palette.built_in()).issues[0]
    assert issue.message == "There is no kind of step “wait_untill”. Did you mean “wait_until”?"


def test_fallbacks_are_resolved() -> None:
    graph = build(drawing({"a": MAIL, "b": EXIT, "c": EXIT}, "a.sent b", "a.failed c"), Palette.built_in())
    assert graph.next == {("a", "sent"): "b", ("a", "skipped"): "b", ("a", "failed"): "c"}


def test_a_chain_as_long_as_allowed_needs_no_recursion() -> None:
    document = journey_document(2_000, cycles=True)
    assert build(Journey.model_validate(document), Palette.built_in()).issues == []


@settings(max_examples=40, deadline=None)
@given(documents(cycles=True))
def test_grown_graphs_are_sound_and_lose_it_without_an_edge(document: dict[str, Any]) -> None:
    assert codes(Journey.model_validate(document)) == []
    used = [i for i, edge in enumerate(document["edges"]) if edge["outlet"] not in ("skipped", "failed")]
    if used:
        del document["edges"][used[-1]]
        assert codes(Journey.model_validate(document)) != []
