"""Two people who put steps into the same edge: one after the other, so that none of them is left unconnected. Pure.

What both put in keeps its own ways to wherever the edge led before. Who saved first comes first.
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
        seen, waiting = {first}, [first]
        while waiting:
            step = waiting.pop()
            for (source, outlet), target in self.edges.items():
                if source == step and target == to:
                    yield source, outlet
                elif source == step and target in self.added and target not in seen:
                    seen.add(target)
                    waiting.append(target)


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
    return dict.fromkeys(theirs.ways(there, to), here) if any(mine.ways(here, to)) else {}
