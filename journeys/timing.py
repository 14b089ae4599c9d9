"""How long after entry a contact gets to each step, at the earliest. Pure; a cycle is no trouble."""

from __future__ import annotations

from datetime import timedelta
from heapq import heappop, heappush

from journeys.graph import Graph


def earliest(graph: Graph) -> dict[str, timedelta]:
    """Node id -> the sum of the least waits on the quickest way there; steps that nothing leads to are left out.

    A wait of three days, then a mail: the mail comes three days after entry. Source: Dijkstra 1959.
    """
    ways: dict[str, list[tuple[str, timedelta]]] = {}
    for (source, outlet), to in graph.next.items():
        if source in graph.nodes:
            ways.setdefault(source, []).append((to, graph.nodes[source].minimum_wait_through(outlet)))
    found: dict[str, timedelta] = {}
    ahead = [(timedelta(0), graph.start)] if graph.start else []
    while ahead:
        after, node = heappop(ahead)
        if node in found or node is None:
            continue
        found[node] = after
        for to, wait in ways.get(node, ()):
            if to not in found:
                heappush(ahead, (after + wait, to))
    return found
