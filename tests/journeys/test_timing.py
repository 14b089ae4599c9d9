"""When contacts get to a step at the earliest."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings

from journeys.document import Journey
from journeys.graph import build
from journeys.nodes import Palette
from journeys.timing import earliest
from tests.journeys.graphs import documents
from tests.journeys.test_graph import ASK, EXIT, MAIL, WAIT, drawing

DAY = {"kind": "wait", "duration": "P1D"}
LISTEN = {"kind": "wait_for", "branches": [{"name": "bought", "event": "Order Completed"}], "timeout": "P3D"}


def times(journey: Journey) -> dict[str, timedelta]:
    return earliest(build(journey, Palette.built_in()))


def test_waits_add_up_and_the_quickest_way_counts() -> None:
    nodes = {"a": DAY, "b": ASK, "c": DAY, "d": WAIT, "e": MAIL, "f": EXIT}
    found = times(drawing(nodes, "a b", "b.yes c", "b.no d", "c e", "d e", "e.sent f"))
    assert found == {
        "a": timedelta(0),
        "b": timedelta(days=1),
        "c": timedelta(days=1),
        "d": timedelta(days=1),
        "e": timedelta(days=1, hours=1),
        "f": timedelta(days=1, hours=1),
    }


def test_only_the_time_out_of_a_wait_for_events_takes_its_time() -> None:
    found = times(drawing({"a": LISTEN, "b": EXIT, "c": MAIL, "d": EXIT}, "a.bought b", "a.timed_out c", "c.sent d"))
    assert found["b"] == timedelta(0)
    assert found["c"] == timedelta(days=3)


def test_a_way_back_ends_and_what_nothing_leads_to_is_left_out() -> None:
    found = times(drawing({"a": DAY, "b": ASK, "c": EXIT, "lonely": MAIL}, "a b", "b.yes a", "b.no c", "lonely.sent c"))
    assert found == {"a": timedelta(0), "b": timedelta(days=1), "c": timedelta(days=1)}
    assert times(drawing({}, start=None)) == {}


@given(documents(cycles=True))
@settings(max_examples=60)
def test_every_edge_keeps_its_wait(raw: dict) -> None:  # type: ignore[type-arg]
    graph = build(Journey.model_validate(raw), Palette.built_in())
    found = earliest(graph)
    for (source, outlet), to in graph.next.items():
        if source in found:
            assert found[to] <= found[source] + graph.nodes[source].minimum_wait_through(outlet)
    for node, after in found.items():
        ways = [found[s] + graph.nodes[s].minimum_wait_through(o) for (s, o), to in graph.next.items() if to == node and s in found]
        assert after == timedelta(0) or after in ways
