"""Hypothesis strategies: journeys that have no issues."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bench.graphs import MAIL, OTHER_JOURNEY, POOL, grow
from journeys.known import Known, KnownTemplate

KNOWN = Known(templates={MAIL: KnownTemplate()}, pools={POOL}, journeys={OTHER_JOURNEY})


@st.composite
def documents(draw: st.DrawFn, max_nodes: int = 25, cycles: bool = False) -> dict[str, Any]:
    """Raw documents of 2 to `max_nodes` nodes; with `cycles` paths may lead back through waits of at least a minute."""
    return grow(draw(st.integers(2, max_nodes)), lambda n: draw(st.integers(0, n - 1)), cycles=cycles)
