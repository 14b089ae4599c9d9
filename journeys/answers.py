"""Whether whoever comes to a step has written to us before, on every way. Pure."""

from __future__ import annotations

from journeys.document import Journey
from journeys.graph import Graph
from journeys.rules.terms.message import REPLY


def unanswered(journey: Journey, graph: Graph) -> frozenset[str]:
    """The steps that can be reached without a reply: neither does one start the journey, nor is one waited for on every way there."""
    triggers = journey.entry.triggers
    if graph.start is None or (triggers and all(trigger.event_name == REPLY for trigger in triggers)):
        return frozenset()
    found, waiting = {graph.start}, [graph.start]
    while waiting:
        node_id = waiting.pop()
        node = graph.nodes.get(node_id)
        for outlet in node.outlets() if node is not None else ():
            following = graph.next.get((node_id, outlet))
            if following is not None and following not in found and node is not None and node.event_behind(outlet) != REPLY:
                found.add(following)
                waiting.append(following)
    return frozenset(found)
