"""The drawing as a graph: nodes parsed, edges resolved, and what is wrong with its shape.

Linear in nodes and edges; never recursive, so a chain of 2,000 steps is as safe as one of two. Does not look at what
lies outside the document (fields, events, templates); that is `check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from heapq import heappop, heappush

from journeys.document import Edge, Journey
from journeys.errors import Issue
from journeys.nodes import Node, Palette

MINIMUM_CYCLE_WAIT = timedelta(minutes=1)

Next = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Graph:
    """`nodes` that could be read, `next` ((node id, outlet) -> node id, fallbacks included) and every `issue` of the shape."""

    nodes: Mapping[str, Node]
    next: Mapping[tuple[str, str], str]
    start: str | None
    issues: list[Issue] = field(default_factory=list)
    unread: frozenset[str] = frozenset()
    """Ids of nodes that are in the document and could not be read."""


def build(journey: Journey, palette: Palette, pinned: Mapping[str, int] | None = None) -> Graph:
    """Reads the nodes and resolves the edges of `journey`, collecting every problem on the way."""
    nodes, issues = _parse(journey, palette, pinned)
    drawn = _resolve(journey, nodes, issues)
    issues += _duplicate_outlets(nodes)
    resolved = _with_fallbacks(nodes, drawn)
    issues += _open_ends(nodes, resolved)
    start = _start(journey, issues)
    issues += _unreachable(journey, nodes, start)
    issues += _cycles_without_wait(nodes, resolved)
    return Graph(nodes, resolved, start, issues, frozenset(journey.nodes.keys() - nodes.keys()))


def _parse(journey: Journey, palette: Palette, pinned: Mapping[str, int] | None) -> tuple[dict[str, Node], list[Issue]]:
    nodes: dict[str, Node] = {}
    issues: list[Issue] = []
    for node_id, raw in journey.nodes.items():
        parsed = palette.parse(node_id, raw, pinned)
        if isinstance(parsed, Node):
            nodes[node_id] = parsed
            issues += parsed.problems(node_id)
        else:
            issues += parsed
    for node_id, node in nodes.items():
        issues += node.problems_among(node_id, nodes)
    return nodes, issues


def _resolve(journey: Journey, nodes: Mapping[str, Node], issues: list[Issue]) -> Next:
    drawn: Next = {}
    outlets = {node_id: node.outlets() for node_id, node in nodes.items()}
    for i, edge in enumerate(journey.edges):
        problem = _edge_problem(edge, journey, outlets, drawn)
        if problem is None:
            drawn[edge.source, edge.outlet] = edge.to
        else:
            code, text, values, at_node = problem
            issues.append(Issue(code=code, text=text, values=values, node_id=at_node, field=f"edges.{i}"))
    return drawn


def _edge_problem(
    edge: Edge, journey: Journey, outlets: Mapping[str, tuple[str, ...]], drawn: Next
) -> tuple[str, str, dict[str, str], str | None] | None:
    if edge.source not in journey.nodes:
        return "edge_from_nowhere", "A connection starts at “{source}”, but there is no such step.", {"source": edge.source}, None
    if edge.to not in journey.nodes:
        return "edge_to_nowhere", "A connection leads to “{to}”, but there is no such step.", {"to": edge.to}, edge.source
    if edge.source in outlets and edge.outlet not in outlets[edge.source]:
        return "unknown_outlet", *unknown_outlet(edge.outlet, outlets[edge.source]), edge.source
    if (edge.source, edge.outlet) in drawn:
        return "duplicate_edge", "Two connections leave through “{outlet}”; only one can.", {"outlet": edge.outlet}, edge.source
    return None


def unknown_outlet(outlet: str, outlets: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """(sentence, its values) for a name that none of a step's `outlets` has."""
    near = get_close_matches(outlet, outlets, n=1)
    if near:
        return "This step has no outlet “{outlet}”. Did you mean “{near}”?", {"outlet": outlet, "near": near[0]}
    return "This step has no outlet “{outlet}”.", {"outlet": outlet}


def _duplicate_outlets(nodes: Mapping[str, Node]) -> Iterable[Issue]:
    for node_id, node in nodes.items():
        outlets = node.outlets()
        for name in sorted({name for name in outlets if outlets.count(name) > 1}) if len({*outlets}) < len(outlets) else ():
            yield Issue(code="duplicate_outlet", text="Two outlets are called “{outlet}”.", values={"outlet": name}, node_id=node_id)


def _with_fallbacks(nodes: Mapping[str, Node], drawn: Next) -> Next:
    resolved = dict(drawn)
    for node_id, node in nodes.items():
        for outlet in node.outlets():
            if (node_id, outlet) not in drawn and (other := node.fallback(outlet)) and (node_id, other) in drawn:
                resolved[node_id, outlet] = drawn[node_id, other]
    return resolved


def _open_ends(nodes: Mapping[str, Node], resolved: Next) -> Iterable[Issue]:
    for node_id, node in nodes.items():
        for outlet in dict.fromkeys(node.outlets()):
            if (node_id, outlet) not in resolved and node.fallback(outlet) is None:
                text = "Nothing follows “{outlet}”. Connect it to a step; every path ends in an exit."
                yield Issue(code="missing_edge", text=text, values={"outlet": outlet}, node_id=node_id, field=outlet)


def _start(journey: Journey, issues: list[Issue]) -> str | None:
    if journey.start is None:
        issues.append(Issue(code="no_start", text="The journey needs a first step.", field="start"))
    elif journey.start not in journey.nodes:
        text = "The journey starts at “{start}”, but there is no such step."
        issues.append(Issue(code="unknown_start", text=text, values={"start": journey.start}, field="start"))
    else:
        return journey.start
    return None


def _unreachable(journey: Journey, nodes: Mapping[str, Node], start: str | None) -> Iterable[Issue]:
    """Follows every drawn edge, also those of broken nodes: one problem should not look like many."""
    if start is None:
        return
    targets: dict[str, list[str]] = {}
    for edge in journey.edges:
        targets.setdefault(edge.source, []).append(edge.to)
    reached, todo = {start}, [start]
    while todo:
        fresh = [to for to in targets.get(todo.pop(), ()) if to not in reached]
        reached.update(fresh)
        todo += fresh
    for node_id in journey.nodes:
        if node_id not in reached:
            yield Issue(code="unreachable", text="No path leads to this step.", node_id=node_id)


def _cycles_without_wait(nodes: Mapping[str, Node], resolved: Next) -> Iterable[Issue]:
    """One issue for each knot of steps that can be gone round in less than a minute."""
    hasty: dict[str, list[tuple[str, timedelta]]] = {node_id: [] for node_id in nodes}
    for (source, outlet), to in resolved.items():
        waits = nodes[source].minimum_wait_through(outlet) if source in nodes else timedelta(0)
        if source in nodes and to in nodes and waits < MINIMUM_CYCLE_WAIT:
            hasty[source].append((to, waits))
    for knot in _strongly_connected_components(hasty):
        if _shortest_cycle(knot, hasty) < MINIMUM_CYCLE_WAIT:
            node_id = next(node_id for node_id in nodes if node_id in knot)
            text = "This path leads back to itself without waiting at least a minute."
            yield Issue(code="cycle_without_wait", text=text, node_id=node_id)


def _strongly_connected_components(targets: Mapping[str, list[tuple[str, timedelta]]]) -> list[set[str]]:
    """Strongly connected parts that hold a cycle. Source: Tarjan 1972, with the stack spelled out instead of recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    knots: list[set[str]] = []
    for root in targets:
        work = [] if root in index else [(root, iter(targets[root]))]
        if work:
            index[root] = low[root] = len(index)
            path.append(root)
            on_path.add(root)
        while work:
            node, following = work[-1]
            for to, _ in following:
                if to not in index:
                    index[to] = low[to] = len(index)
                    path.append(to)
                    on_path.add(to)
                    work.append((to, iter(targets[to])))
                    break
                if to in on_path:
                    low[node] = min(low[node], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = set(_unwind(path, on_path, node))
                    if len(part) > 1 or any(to == node for to, _ in targets[node]):
                        knots.append(part)
    return knots


def _unwind(path: list[str], on_path: set[str], until: str) -> Iterable[str]:
    node = None
    while node != until:
        node = path.pop()
        on_path.discard(node)
        yield node


def _shortest_cycle(knot: set[str], targets: Mapping[str, list[tuple[str, timedelta]]]) -> timedelta:
    """The least time in which a cycle inside `knot` can be gone round."""
    inside = {node: [(to, waits) for to, waits in targets[node] if to in knot] for node in knot}
    at_once = {node: [(to, waits) for to, waits in following if not waits] for node, following in inside.items()}
    if _strongly_connected_components(at_once):
        return timedelta(0)
    # Every cycle that is left passes a short wait; there are few of those, and only broken drafts get here.
    return min((_shortest_path(node, inside) for node in knot if any(waits for _, waits in inside[node])), default=timedelta.max)


def _shortest_path(start: str, targets: Mapping[str, list[tuple[str, timedelta]]]) -> timedelta:
    """Dijkstra from `start` back to itself."""
    queue = [(waits, to) for to, waits in targets[start]]
    queue.sort()
    done: set[str] = set()
    while queue:
        spent, node = heappop(queue)
        if node == start:
            return spent
        if node not in done:
            done.add(node)
            for to, waits in targets[node]:
                heappush(queue, (spent + waits, to))
    return timedelta.max
