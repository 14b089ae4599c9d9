"""How soon a contact can come to a step, whatever happens meanwhile: along edges, waiting at each step no longer than it must. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import timedelta

from journeys.compile import Program

NOW = timedelta(0)


def soonest_visit(program: Program, left: str, target: str, visits: int) -> timedelta | None:
    """The least time from leaving `left` (empty: from entering the journey) to the arrival at `target` for the `visits`-th time, counted
    from 1; None where no edges lead there.

    It is a lower bound. A step that lets people go at a time of day lets the same person go again only the next day (`minimum_return`): the
    third visit of a mail behind "wait until 09:00" comes at least 40 hours after the first.
    """
    starts = _after(program, left) if left else [program.start]
    first = _shortest(program, starts, target)
    if first is None or visits <= 1:
        return first
    around = _shortest(program, _after(program, target), target)
    if around is None:
        return None
    again = [(visits - 1) * (around + _least(program, target))]
    for node, passed in _gates(program, left, starts, target):
        again.append((visits - 1 if passed else visits - 2) * program.nodes[node].minimum_return())
    return first + max(again)


def _gates(program: Program, left: str, starts: list[str], target: str) -> Iterator[tuple[str, bool]]:
    """The steps that nobody gets around on the way from `target` back to it, and whether one has to pass them before the first time, too."""
    for node in program.nodes:
        if node != target and _shortest(program, _after(program, target), target, around=node) is None:
            yield node, node == left or _shortest(program, starts, target, around=node) is None


def _least(program: Program, node: str) -> timedelta:
    return min((program.nodes[node].minimum_wait_through(outlet) for outlet in program.nodes[node].outlets()), default=NOW)


def _after(program: Program, node: str) -> list[str]:
    return [program.next[node, outlet] for outlet in program.nodes[node].outlets() if (node, outlet) in program.next]


def _shortest(program: Program, starts: Iterable[str], target: str, around: str | None = None) -> timedelta | None:
    """Dijkstra from the entry of any of `starts` to the entry of `target`, never through `around`."""
    waiting = [(NOW, start) for start in starts]
    heapq.heapify(waiting)
    seen = {around}
    while waiting:
        took, node = heapq.heappop(waiting)
        if node in seen:
            continue
        if node == target:
            return took
        seen.add(node)
        for outlet in program.nodes[node].outlets():
            following = program.next.get((node, outlet))
            if following is not None and following not in seen:
                heapq.heappush(waiting, (took + program.nodes[node].minimum_wait_through(outlet), following))
    return None
