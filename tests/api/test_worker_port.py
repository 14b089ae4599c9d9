"""A worker's own port: what its probes say when something is away, and who may read its numbers."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import pytest

from api.measured import FORWARDED
from api.worker_port import MOST_CONNECTIONS, WorkerMetrics, WorkerPort, served
from engine.clock import Clock
from engine.engine import Engine
from journeys.nodes import Palette
from models import Database
from tests.api.conftest import TestClient


@dataclass
class Temporal:
    up: bool = True

    async def is_up(self) -> bool:
        return self.up


def port_of(engine: Engine, temporal: Temporal, token: str = "") -> WorkerPort:
    return WorkerPort(engine, WorkerMetrics(engine), temporal.is_up, token, core_port=1, working=True)


def test_it_is_ready_while_it_can_work(engine: Engine) -> None:
    temporal = Temporal()
    port = port_of(engine, temporal)
    with TestClient(port.app()) as client:
        assert client.get("/ready").json() == {"status": "ready", "working": True, "database": "up", "temporal": "up"}
        temporal.up = False
        assert (client.get("/ready").status_code, client.get("/ready").json()["temporal"]) == (503, "down")
        temporal.up, port.working = True, False
        assert (client.get("/ready").status_code, client.get("/ready").json()["working"]) == (503, False)
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 404


def test_without_a_database_it_lives_and_counts_and_is_not_ready() -> None:
    db = Database("postgresql://nobody@127.0.0.1:1/nothing")
    engine = Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))
    port = port_of(engine, Temporal())
    port.metrics.performed("email", "sent", 0.1)
    port.metrics.performed("email", "held", 0.1)
    port.metrics.performed("webhook", "sent", 0.1)
    with TestClient(port.app(), client=("127.0.0.1", 4_000)) as client:
        assert client.get("/health").status_code == 200
        assert (client.get("/ready").status_code, client.get("/ready").json()["database"]) == (503, "down")
        page = client.get("/metrics").text
    assert "pfadwerk_database_up 0.0" in page
    assert [line for line in page.splitlines() if line.startswith("pfadwerk_messages_total")] == [
        'pfadwerk_messages_total{channel="email",outcome="sent"} 1.0'
    ]
    assert 'pfadwerk_effects_total{channel="email",outcome="held"} 1.0' in page
    db.close()


@pytest.mark.parametrize(
    ("token", "host", "headers", "expected"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "10.0.0.5", {}, 403),
        ("", "127.0.0.1", {FORWARDED[1]: "127.0.0.1"}, 403),
        ("t", "10.0.0.5", {"authorization": "Bearer t"}, 200),
        ("t", "127.0.0.1", {}, 403),
        ("t", "127.0.0.1", {"authorization": "Bearer u"}, 403),
    ],
)
def test_numbers_are_guarded_as_the_web_servers(engine: Engine, token: str, host: str, headers: dict[str, str], expected: int) -> None:
    with TestClient(port_of(engine, Temporal(), token).app(), client=(host, 4_000)) as client:
        assert client.get("/metrics", headers=headers).status_code == expected
        assert client.get("/health").status_code == 200


def test_connections_that_ask_nothing_do_not_keep_the_probe_out(engine: Engine) -> None:
    asyncio.run(_crowded(port_of(engine, Temporal())))


async def _crowded(port: WorkerPort) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        async with served(port, listening, idle_seconds=0.1):
            idle = [await asyncio.open_connection(*address) for _ in range(MOST_CONNECTIONS)]
            for reader, writer in idle:
                assert await reader.read() == b"", "closed without a word"
                writer.close()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /health HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
