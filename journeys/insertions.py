"""Two people who put steps into the same edge: one after the other, so that none of them is left unconnected. Pure.

What both put in keeps its own ways to wherever the edge led before. Who saved first comes first. Steps that other ways lead into, too, are
left to the people: whoever comes on those would meet what was put into this edge alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

Outlet = tuple[str, str]
Edges = Mapping[Outlet, str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one person has: the edges, and which of the steps are new."""

    edges: Edges
    added: Collection[str]

    def ways(self, first: str, to: str) -> Iterator[Outlet]:
        """From `first` over new steps alone to where the edge led before: the outlets at the end of them."""
        steps = self._behind(first)
        return (place for place, target in self.edges.items() if place[0] in steps and target == to)

    def is_entered_elsewhere(self, first: str, place: Outlet) -> bool:
        """Whether the new steps from `first` on are reached on other ways than from `place`: these would get what follows, too."""
        steps = self._behind(first)
        return any(target in steps and source != place and source[0] not in steps for source, target in self.edges.items())

    def _behind(self, first: str) -> set[str]:
        """`first`, and the new steps that follow it directly or over new ones."""
        found, waiting = {first}, [first]
        while waiting:
            step = waiting.pop()
            more = {to for (source, _), to in self.edges.items() if source == step and to in self.added} - found
            found |= more
            waiting += more
        return found


def chained(before: Edges, mine: Drawn, theirs: Drawn) -> dict[Outlet, dict[Outlet, str]]:
    """Outlet in whose edge both put something -> the edges by which what `mine` has follows what `theirs` has; that outlet leads to theirs."""
    found = {place: _chain(place, to, mine, theirs) for place, to in before.items()}
    return {place: chain for place, chain in found.items() if chain}


def _chain(place: Outlet, to: str, mine: Drawn, theirs: Drawn) -> dict[Outlet, str]:
    here, there = mine.edges.get(place), theirs.edges.get(place)
    if here not in mine.added or there not in theirs.added or here in theirs.added or there in mine.added:
        return {}
    assert here is not None
    assert there is not None
    if mine.is_entered_elsewhere(here, place) or theirs.is_entered_elsewhere(there, place):
        return {}
    return dict.fromkeys(theirs.ways(there, to), here) if any(mine.ways(here, to)) else {}
