"""How long checking and compiling a journey of 500 nodes takes: from JSON text to issues and to a program. Prints one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any

from bench.graphs import MAIL, OTHER_JOURNEY, POOL, journey_document
from bench.measure import machine
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.known import Known, KnownTemplate
from journeys.nodes import Palette
from journeys.reading import read

NODES = 500
ROUNDS = 9


QUICK: Mapping[str, Any] = {"rounds": 3}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians in milliseconds; the first, cold round is told apart."""
    text = json.dumps(journey_document(NODES, cycles=True))
    palette, catalogue = Palette.built_in(), Catalogue.built_in()
    known = Known(templates={MAIL: KnownTemplate()}, pools={POOL}, journeys={OTHER_JOURNEY})

    def both() -> None:
        journey = read(text)
        assert check(journey, palette, catalogue, known) == []
        compile_journey(journey, palette)

    cold = _milliseconds(both)
    journey = read(text)
    return {
        "machine": machine(),
        "nodes": NODES,
        "cold_ms": cold,
        "read_ms": median(_milliseconds(lambda: read(text)) for _ in range(rounds)),
        "check_ms": median(_milliseconds(lambda: check(journey, palette, catalogue, known)) for _ in range(rounds)),
        "compile_ms": median(_milliseconds(lambda: compile_journey(journey, palette)) for _ in range(rounds)),
        "check_compile_500_ms": median(_milliseconds(both) for _ in range(rounds)),
    }


def _milliseconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return round((perf_counter() - start) * 1_000, 2)


if __name__ == "__main__":
    print(json.dumps(run()))
