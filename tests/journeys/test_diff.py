from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from journeys.diff import diff
from journeys.reading import read
from tests.journeys.graphs import documents

OLD = {
    "key": "j",
    "name": "J",
    "start": "a",
    "settings": {"timezone": "Europe/Zurich"},
    "nodes": {"a": {"kind": "wait", "duration": "P3D"}, "b": {"kind": "send_email", "template": "mail"}, "c": {"kind": "exit"}},
    "edges": [{"from": "a", "to": "b"}, {"from": "b", "outlet": "sent", "to": "c"}],
}
NEW = {
    **OLD,
    "settings": {"timezone": "Europe/Berlin"},
    "nodes": {"a": {"kind": "wait", "duration": "P2D"}, "c": {"kind": "exit"}, "d": {"kind": "exit", "reason": "bought"}},
    "edges": [{"from": "a", "to": "c"}],
    "ui": {"a": {"x": 10}},
}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [difference.say(str) for difference in diff(read(old), read(new))]


def test_every_difference_is_said() -> None:
    assert said(OLD, NEW) == [
        "settings.timezone changes from Europe/Zurich to Europe/Berlin.",
        "In the step a, “duration” changes from P3D to P2D.",
        "The step b was removed.",
        "The step d was added.",
        "The connection a --next--> b was removed.",
        "The connection b --sent--> c was removed.",
        "The connection a --next--> c was added.",
    ]


def test_differences_are_data() -> None:
    changed = next(one for one in diff(read(OLD), read(NEW)) if one.what == "node_changed")
    assert changed.model_dump() == {"what": "node_changed", "place": "a", "field": "duration", "before": "P3D", "after": "P2D"}


def test_positions_and_the_order_of_edges_make_no_difference() -> None:
    assert said(OLD, {**OLD, "ui": {"a": {"x": 1}}, "edges": OLD["edges"][::-1]}) == []


def test_a_number_is_not_a_truth() -> None:
    before = {**OLD, "nodes": {"a": {"kind": "update_contact", "set": {"x": 1}}}, "edges": []}
    after = {**OLD, "nodes": {"a": {"kind": "update_contact", "set": {"x": True}}}, "edges": []}
    assert said(before, after) == ["In the step a, “set.x” changes from 1 to True."]


@settings(max_examples=30, deadline=None)
@given(documents(), documents())
def test_there_and_back_is_the_same_number_of_differences(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert diff(read(one), read(one)) == []
    assert len(diff(read(one), read(other))) == len(diff(read(other), read(one)))
