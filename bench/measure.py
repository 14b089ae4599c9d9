"""What benchmarks measure with: CPU and memory of processes, percentiles, and what the machine was."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since it started (Linux; 0 elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_bytes(pid: int) -> int:
    """Resident memory of a process (Linux; 0 elsewhere)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of `values` do not exceed (nearest rank). Of 1..200 the 99th is 198."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def spread_ms(seconds: Iterable[float], percents: Sequence[int] = (50, 95, 99)) -> dict[str, float]:
    """{"p50": …, "p95": …, "p99": …, "max": …, "count": …} in milliseconds; only the count when there is none."""
    values = [value * 1_000 for value in seconds]
    if not values:
        return {"count": 0}
    return {f"p{p}": round(percentile(values, p), 1) for p in percents} | {"max": round(max(values), 1), "count": len(values)}


def say(text: str) -> None:
    """A line of progress, beside the JSON on standard output."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """What a reader needs to judge the numbers; `load` is the load average before the benchmark began."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(load, 2), "loop_s": loop_seconds()}


def loop_seconds() -> float:
    """How long 5,000,000 additions take in a plain loop, in seconds: machines differ threefold, and this says by how much."""
    begin, total = time.perf_counter(), 0
    for number in range(5_000_000):
        total += number
    assert total == 12_499_997_500_000
    return round(time.perf_counter() - begin, 3)
