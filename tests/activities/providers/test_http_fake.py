"""The fake HTTP provider against a real local HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from activities.providers import AddressDead, InDoubt, MessageDead, Provider, ProviderFailure, RetryLater, SenderStopped
from activities.providers.http_fake import HttpFake
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing

STATUS = {RetryLater: 503, MessageDead: 422, AddressDead: 410, SenderStopped: 401}


class Receiver(ThreadingHTTPServer):
    """Counts what it gets; `next` is the failure that the next POST meets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: dict[str, list[Arrived]] = {}
        self.next: type[ProviderFailure] | None = None
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            failure, self.server.next = self.server.next, None
        if failure in STATUS:
            return self._say(STATUS[failure], SPOKEN)
        with self.server.lock:
            self.server.got.setdefault(self._key(), []).append(Arrived(message["to"], message["subject"], message["text"]))
        if failure is InDoubt:
            self.close_connection = True
            return None
        return self._say(200, "m-1")

    def do_GET(self) -> None:
        known = self._key() in self.server.got
        self._say(200 if known else 404, "m-1" if known else "")

    def _key(self) -> str:
        return unquote(self.path[1:])

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


class HttpWire:
    failures: tuple[type[ProviderFailure], ...] = (*STATUS, InDoubt)

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.provider: Provider = HttpFake("127.0.0.1", receiver.server_port, 2.0)

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.receiver.next = with_

    def arrived(self, once_key: str) -> list[Arrived]:
        return self.receiver.got.get(once_key, [])

    def go_away(self) -> None:
        self.receiver.shutdown()
        self.receiver.server_close()


@pytest.fixture
def wire() -> Iterator[HttpWire]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    wire = HttpWire(receiver)
    yield wire
    wire.provider.close()
    wire.go_away()
    thread.join()


class TestConformance(Conformance):
    pass


def test_a_connection_is_kept_open(wire: HttpWire) -> None:
    fake = wire.provider
    assert isinstance(fake, HttpFake)
    for number in range(5):
        fake.send(outgoing(f"run{number}:a:1"))
    assert len(fake._all) == 1
