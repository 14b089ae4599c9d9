"""How many nodes a second one core walks: generated journeys of all pure kinds with rules of three terms, in the simulator.

The simulator walks with the same `advance` as a real run, so this is the cost of deciding, without any database. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from statistics import median
from time import process_time
from typing import Any

from bench.graphs import chooser, grow
from bench.measure import machine
from engine.interpreter.simulate import Script, ScriptEvent, simulate
from journeys.compile import Program, compile_journey
from journeys.nodes import Palette
from journeys.reading import read

JOURNEYS = 20
NODES = 40
PEOPLE = 10
"""Scripts per journey: contacts that differ in all that the rules ask for."""


QUICK: Mapping[str, Any] = {"rounds": 2, "seconds": 1.0}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(rounds: int = 5, seconds: float = 2.0) -> dict[str, Any]:
    """The median of `rounds`, each of at least `seconds` of CPU time."""
    palette = Palette.built_in()
    programs = [compile_journey(read(grow(NODES, chooser(f"bench-{n}"), cycles=True)), palette) for n in range(JOURNEYS)]
    people = [somebody(number) for number in range(PEOPLE)]
    kinds: Counter[str] = Counter()
    for program in programs:
        for person in people:
            kinds.update(program.nodes[node].kind for node in simulate(program, person).nodes())
    rates = [_rate(programs, people, seconds) for _ in range(rounds)]
    return {
        "machine": machine(),
        "steps_per_s": round(median(rates)),
        "rounds": [round(rate) for rate in rates],
        "walks": JOURNEYS * PEOPLE,
        "steps_per_walk": round(kinds.total() / (JOURNEYS * PEOPLE), 1),
        "kinds": dict(kinds.most_common()),
    }


def _rate(programs: list[Program], people: list[Script], seconds: float) -> float:
    """Nodes entered per second of CPU."""
    steps, begin = 0, process_time()
    while process_time() - begin < seconds:
        steps += sum(len(simulate(program, person).nodes()) for program in programs for person in people)
    return steps / (process_time() - begin)


def somebody(number: int) -> Script:
    """A contact unlike the others, and what happens to it."""
    choose = chooser(f"person-{number}")
    stage = ("lead", "customer", "mql")[choose(3)]
    return Script(
        contact_id=f"person-{number}",
        contact={"email": f"p{number}@example.org", "lifecycle_stage": stage, "timezone": "Europe/Zurich", "first_name": "Anna"},
        tags=[tag for tag in ("vip", "new", "old") if choose(2)],
        consents=[("email", "marketing", "granted")] if choose(2) else [],
        scores={"engagement": float(choose(100))},
        rotations={"sales": ["kim", "lee"]},
        history=[ScriptEvent(after=timedelta(days=1 + choose(60)), name="Order Completed") for _ in range(choose(3))],
        events=[ScriptEvent(after=timedelta(hours=1 + choose(400)), name="Order Completed", properties={"total": 10 * choose(20)})],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    print(json.dumps(run(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
