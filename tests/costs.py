"""What each test file costs in CPU time, so that the dearest start first: `make costs` measures it and writes `tests/costs.json`.

A file belongs to one process from its first test to its last; one that is long and starts late keeps a process busy while the others have
nothing left to do. The order alone hangs on these numbers: a machine twice as fast has the same one.
"""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).with_name("costs.json")
WORTH_NAMING = 3.0
"""Files of fewer seconds than these need no place in the order."""

_spent: Counter[str] = Counter()


def order() -> dict[str, int]:
    """File -> place, the dearest first."""
    costs = json.loads(FILE.read_text("utf-8"))
    return {file: place for place, file in enumerate(sorted(costs, key=lambda file: (-costs[file], file)))}


def of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _cpu_seconds() -> float:
    """Of this process, and of those it started that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Measuring:
    """The plug-in behind `--costs`, in each process of the suite; those that run tests hand over what they counted."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = _cpu_seconds()
        try:
            return (yield)
        finally:
            _spent[of(item)] += _cpu_seconds() - before  # type: ignore[assignment]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        _spent.update(getattr(node, "workeroutput", {}).get("costs", {}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["costs"] = dict(_spent)
            return
        named = {file: round(seconds) for file, seconds in sorted(_spent.items()) if seconds >= WORTH_NAMING}
        FILE.write_text(f"{json.dumps(named, indent=2)}\n", "utf-8")
