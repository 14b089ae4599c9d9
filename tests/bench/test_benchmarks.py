"""The benchmarks run, small, and answer with the keys that are promised. How fast they are is not asserted here."""

from __future__ import annotations

import pytest

from bench import compile as compiling
from bench import engine, ingest, simulate
from bench.measure import cpu_seconds, memory_bytes, percentile, spread_ms


def test_compile_measures_500_nodes():
    found = compiling.run(rounds=1)
    assert found["nodes"] == 500
    assert found["check_compile_500_ms"] > 0


def test_simulate_walks_a_mix_of_kinds():
    found = simulate.run(rounds=1, seconds=0.05)
    assert found["steps_per_s"] > 0
    assert {"if_else", "switch", "split", "wait", "wait_for", "send_email", "create_task"} <= set(found["kinds"])


def test_runs_side_by_side_take_34_events_and_get_every_mail_once():
    found = engine.run(runs=4, rounds=1, seconds=1, parts=["throughput", "first"])
    assert found["throughput_ratio"] > 0
    assert found["history_events"] == found["history_events_baseline"] == 34
    assert found["state_transitions"]["pfadwerk"] == found["state_transitions"]["baseline"]
    assert found["cpu_ms_per_run"].keys() == {"pfadwerk", "baseline"}
    assert found["first_send_ms"]["count"] == 20
    assert found["first_send_ms"]["p95"] >= found["first_send_ms"]["p50"] > 0


def test_a_killed_server_loses_no_acknowledged_event():
    found = ingest.run(rounds=1, seconds=1.0, warm_up_seconds=0.3, kill_after=5)
    assert found["events_per_s"] > 0
    assert found["runs_started"] > 0
    assert found["acknowledged_events"] > 0
    assert found["lost_events"] == 0


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 100), (99, 198), (100, 200)])
def test_percentiles_are_values_that_occurred(percent, value):
    assert percentile(list(range(200, 0, -1)), percent) == value


def test_a_spread_of_nothing_says_so():
    assert spread_ms([]) == {"count": 0}
    assert spread_ms([0.001, 0.003], [50]) == {"p50": 1.0, "max": 3.0, "count": 2}


def test_a_process_that_is_gone_used_nothing():
    assert cpu_seconds(2**30) == 0.0
    assert memory_bytes(2**30) == 0
