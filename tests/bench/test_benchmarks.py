"""The benchmarks run, small, and answer with the keys that are promised. How fast they are is not asserted here."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import shutil
import socket
import sqlite3
import time
from contextlib import ExitStack, closing

import pytest

from bench import builder, callbacks, engine, ingest, memory, messages, people, rendering, shop, simulate
from bench import compile as compiling
from bench.line import open_line
from bench.measure import cpu_seconds, machine, memory_bytes, percentile, spread_ms
from commands.bench import names
from journeys.errors import Misconfigured


def test_compile_measures_500_nodes():
    found = compiling.run(rounds=1)
    assert found["nodes"] == 500
    assert found["check_compile_500_ms"] > 0


def test_rendering_is_measured_here_and_in_the_pool():
    found = rendering.run(rounds=1, mails=5)
    assert found["throughput_ratio"] > 0
    assert found["ms_per_mail"]["pool"]["count"] == found["ms_per_mail"]["inline"]["count"] == 5


def test_messages_are_measured_before_a_provider_sees_them():
    found = messages.run(rounds=1, messages=50, contacts=5)
    assert min(found["decides_per_s"], found["gate_per_s"], found["renders_per_s"]) > 0
    assert found["mail_bytes"] > 1_000


@pytest.mark.soak
def test_callbacks_are_answered_and_all_that_they_tell_is_stored():
    found = callbacks.run(rate=30, seconds=1.0, warm_up_seconds=0.2)
    assert found["callback_p95_ms"] > 0
    assert found["callback_ms"]["count"] == 30


def test_memory_is_read_while_messages_are_sent():
    found = memory.run(messages=12, warm_up=2, every=2)
    assert found["rss_mb"]["most"] >= found["rss_mb"]["end"] > 0
    assert isinstance(found["rss_growth_mb"], float)


def test_a_shop_is_made_once_and_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv(shop.FOLDER, str(tmp_path))
    made = shop.on_sqlite(500, 3_000)
    assert made.made_seconds > 0
    assert shop.on_sqlite(500, 3_000) == dataclasses.replace(made, made_seconds=0.0)
    with closing(sqlite3.connect(made.url.removeprefix("sqlite:///"))) as connection:
        told = "SELECT count(*), count(DISTINCT contact_id), sum(name = 'Order Completed') FROM event WHERE contact_id IN (SELECT id FROM contact)"
        assert connection.execute(told).fetchone() == ORDERS_OF_THE_SHOP
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'ix_event_contact_name'").fetchone() == (1,)


ORDERS_OF_THE_SHOP = (3_000, 500, 168)


@pytest.mark.soak
def test_segments_are_measured_with_many_people(tmp_path, monkeypatch):
    monkeypatch.setenv(shop.FOLDER, str(tmp_path))
    found = people.run(contacts=2_000, events=10_000, seconds=1.0, rounds=1, rows=500)
    assert found["segment_lag_ms"]["count"] == 10
    assert found["segment_lag_missing"] == 0
    assert found["fill"]["everybody"]["members"] == 2_000
    assert found["ingest_ratio"] > 0
    assert min(page["then"] for page in found["open_ms"].values()) > 0
    assert found["csv"]["rows_per_s"] > 0


def test_simulate_walks_a_mix_of_kinds():
    found = simulate.run(rounds=1, seconds=0.05)
    assert found["steps_per_s"] > 0
    assert {"if_else", "switch", "split", "wait", "wait_for", "send_email", "create_task"} <= set(found["kinds"])


@pytest.mark.soak
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


@pytest.mark.soak
def test_the_builder_is_measured_in_a_browser():
    if not any(shutil.which(name) for name in builder.CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is not installed; CI leaves no test out")
        pytest.skip("Chromium is not installed")
    found = builder.run(opens=1, drags=1, edits=1, looks=1, drag_seconds=0.3, runs=200, trail=2_000, sizes=[30])
    assert found["open_30_ms"] > 0
    assert found["drag_fps"] == min(found["drag_fps_by_view"].values()) > 0
    assert found["edit_ms"] > 0
    assert 0 < found["edit_bytes"] < 20_000
    assert found["lost_keystrokes"] == 0
    assert found["overlay_ms"] > 0
    assert found["overlay_seed"]["exact"]
    assert found["overlay_seed"]["runs"] == 200
    assert 0 < found["overlay_seed"]["open_runs"] < 200


def test_a_machine_without_a_browser_hears_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="needs Chromium: install it with"), builder.open_browser():
        pass


@pytest.mark.parametrize(("found", "lost"), [("abcdef", 0), ("abdef", 1), ("def", 3), ("abcdefg", 1), ("", 6), ("badcfe", 3)])
def test_keys_that_are_missing_or_too_many_are_lost(found, lost):
    assert builder.lost("abcdef", found) == lost


def test_a_line_takes_servers_in_turn_and_time():
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        line = stack.enter_context(open_line([server.getsockname()[1] for server in servers], 0.05))
        begin = time.monotonic()
        for server in [*servers, *servers]:
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", line.port)))
            caller.sendall(b"GET /_reactpy/stream/ui HTTP/1.1\r\n")
            server.settimeout(5)
            called = stack.enter_context(server.accept()[0])
            assert called.recv(100).startswith(b"GET /_reactpy")
            called.sendall(b"hello")
            assert caller.recv(100) == b"hello"
        assert time.monotonic() - begin >= 4 * 2 * 0.05
        assert line.sockets == [0, 1, 0, 1]
        line.cut()
        assert caller.recv(100) == b""


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 100), (99, 198), (100, 200)])
def test_percentiles_are_values_that_occurred(percent, value):
    assert percentile(list(range(200, 0, -1)), percent) == value


def test_a_spread_of_nothing_says_so():
    assert spread_ms([]) == {"count": 0}
    assert spread_ms([0.001, 0.003], [50]) == {"p50": 1.0, "max": 3.0, "count": 2}


def test_a_process_that_is_gone_used_nothing():
    assert cpu_seconds(2**30) == 0.0
    assert memory_bytes(2**30) == 0


@pytest.mark.parametrize("name", names())
def test_every_benchmark_has_a_quick_form_that_it_understands(name: str) -> None:
    module = importlib.import_module(f"bench.{name}")
    inspect.signature(module.run).bind(**module.QUICK)


def test_the_machine_says_how_fast_it_is() -> None:
    assert machine()["loop_s"] > 0
