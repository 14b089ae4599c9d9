"""What strangers and hostile sockets can make a server write: a bounded number of lines, whatever they send. Over a real socket."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from api.auth.login import COOKIE, exchange, mint_link
from commands import log_limit
from engine.engine import Engine


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the processes' handler writes of everything that is logged."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = log_limit.LimitedHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def event(target: str) -> str:
    return json.dumps({"type": "layout-event", "target": target, "data": [{}]})


MESSAGES = {
    "nonsense": "{",
    "unknown handlers": event("no one"),
    "a name with a line break": event("x\n2026-01-01 ERROR pfadwerk: forged"),
    "deep": "[" * 10_000,
    "huge": event("x" * 60_000),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_hostile_socket_leaves_a_handful_of_lines(live_url: str, engine: Engine, written: io.StringIO, message: str) -> None:
    token = mint_link(engine.db, engine.clock.now(), "").rpartition("/")[2]
    cookie = exchange(engine.db, engine.address_keys, token, engine.clock.now())[0]
    address = live_url.replace("http", "ws") + "/_reactpy/stream/ui/settings"
    with connect(address, origin=live_url, additional_headers={"cookie": f"{COOKIE}={cookie}"}) as socket:  # type: ignore[arg-type]
        socket.recv(timeout=20)
        for _ in range(200):
            socket.send(message)
        socket.send(event("the last one"))
        socket.ping().wait(20)
    assert len(written.getvalue().splitlines()) < 20, written.getvalue()[:2_000]
    assert "forged" not in written.getvalue()


def _overwhelm(socket: ClientConnection) -> None:
    socket.send("x" * 20_000_000)
    socket.recv(timeout=20)


def test_a_message_without_end_ends_its_socket(live_url: str, engine: Engine, written: io.StringIO) -> None:
    token = mint_link(engine.db, engine.clock.now(), "").rpartition("/")[2]
    cookie = exchange(engine.db, engine.address_keys, token, engine.clock.now())[0]
    address = live_url.replace("http", "ws") + "/_reactpy/stream/ui/settings"
    with connect(address, origin=live_url, additional_headers={"cookie": f"{COOKIE}={cookie}"}) as socket:  # type: ignore[arg-type]
        socket.recv(timeout=20)
        with pytest.raises(ConnectionClosed):
            _overwhelm(socket)
    assert len(written.getvalue()) < 20_000


def test_strangers_who_are_refused_leave_a_bounded_number_of_lines(live_url: str, written: io.StringIO, write_key: str) -> None:
    """Keys that are none, broken JSON, sockets from elsewhere."""
    with httpx.Client(base_url=live_url) as client:
        for number in range(log_limit.MOST_REFUSED):
            client.get("/api/v1/journeys", headers={"authorization": f"Bearer made-up-{number}"})
            client.post("/v1/track", content=b"{", headers={"authorization": "Bearer x"})
    lines = written.getvalue().splitlines()
    assert len(lines) <= log_limit.MOST_REFUSED + 2 * log_limit.MOST
    assert "made-up" not in written.getvalue()
