"""The one HTTP client against real local servers: where it goes, how long it waits, how much it reads, and what it does not do."""

from __future__ import annotations

import gzip
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from activities.http_client import HttpAnswer, HttpFailure, ask, client, exchange
from activities.requests_session import guarded_session
from activities.webhooks.address_guard import Guard, Refused

HERE = Guard.allowing(["hooks.example"], lambda host, port: ["127.0.0.1"])
PATIENCE_SECONDS = 60.0


class Server:
    """Answers every request with the same bytes, one connection after the other; `drips`: byte by byte for as long as anybody listens."""

    def __init__(self, answer: bytes, *, drips: bool = False) -> None:
        self.answer, self.drips = answer, drips
        self.got: list[bytes] = []
        self.connections = 0
        self.dripped = 0
        self.stop = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://hooks.example:{self.port}/in"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections += 1
                with connection, suppress(OSError):
                    while got := self._request(connection):
                        self.got.append(got)
                        self._say(connection)

    def _request(self, connection: socket.socket) -> bytes:
        """A whole one: clients may write head and body apart. Empty, if the other side has hung up."""
        got = b""
        while not is_whole(got):
            more = connection.recv(65_536)
            if not more:
                return b""
            got += more
        return got

    def _say(self, connection: socket.socket) -> None:
        connection.sendall(self.answer)
        while self.drips and not self.stop.wait(0.01):
            connection.sendall(b"x")
            self.dripped += 1

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(PATIENCE_SECONDS)


def is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def said(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[Any]:
    servers: list[Server] = []

    def begin(answer: bytes, *, drips: bool = False) -> Server:
        servers.append(Server(answer, drips=drips))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def get(url: str, guard: Guard = HERE, **more: Any) -> HttpAnswer:
    return exchange(guard, "GET", url, **{"headers": {}, "timeout_seconds": PATIENCE_SECONDS, "most_bytes": 1_000, **more})


def failure(url: str, guard: Guard = HERE, **more: Any) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        get(url, guard, **more)
    return caught.value


def test_what_the_guard_refuses_is_never_connected_to(serve: Any) -> None:
    server = serve(said(b"ok"))
    assert failure(server.url, Guard(resolve=lambda host, port: ["127.0.0.1"])).code == "address_refused"
    with client(Guard(resolve=lambda host, port: ["127.0.0.1"]), timeout_seconds=PATIENCE_SECONDS) as direct, pytest.raises(Refused):
        direct.get(server.url)
    assert server.connections == 0


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_judged(serve: Any) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    server = serve(said(b"ok"))
    assert get(server.url, Guard.allowing(["127.0.0.1"], resolve)).body == b"ok"
    assert asked == ["hooks.example"]
    assert b"Host: hooks.example:" in server.got[0]


def test_a_redirect_is_an_answer_and_is_not_followed(serve: Any) -> None:
    other = serve(said(b"secret"))
    server = serve(said(b"", f"Location: {other.url}", status="302 Found"))
    assert get(server.url).status == 302
    assert other.connections == 0


def test_proxies_of_the_environment_are_not_used(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(said(b"proxy")), serve(said(b"ok"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url.replace("hooks.example", "127.0.0.1"))
    assert get(server.url).body == b"ok"
    assert guarded_session(HERE).get(server.url).content == b"ok"
    assert proxy.connections == 0


def test_the_body_ends_at_the_limit(serve: Any) -> None:
    whole, long = get(serve(said(b"x" * 999)).url), get(serve(said(b"x" * 50_000)).url)
    assert (len(whole.body), whole.is_whole) == (999, True)
    assert (len(long.body), long.is_whole) == (1_000, False)


def test_nothing_is_unpacked(serve: Any) -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    server = serve(said(packed, "Content-Encoding: gzip"))
    assert get(server.url, most_bytes=100_000).body == packed
    assert b"Accept-Encoding: identity" in server.got[0]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"])
def test_a_server_that_drips_meets_the_deadline(serve: Any, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; all of them together do not. The server goes on until the end of the test, a second of this clock for each byte."""
    server = serve(answer, drips=True)
    monkeypatch.setattr("activities.http_client.time", SimpleNamespace(monotonic=lambda: float(server.dripped)))
    failed = failure(server.url, most_bytes=900_000)
    assert (failed.code, failed.arrived) == ("timeout", True)
    assert (len(server.got), server.dripped >= PATIENCE_SECONDS) == (1, True)


def test_a_body_that_is_written_apart_belongs_to_its_request(serve: Any) -> None:
    server = serve(said(b"ok"))
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        connection.sendall(b"bo")
        connection.sendall(b"dy")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    [got] = server.got
    assert got.endswith(b"body")


def test_it_says_whether_the_request_may_have_arrived(serve: Any) -> None:
    gone = serve(said(b""))
    gone.close()
    assert (failure(gone.url).code, failure(gone.url).arrived) == ("connection_lost", False)
    assert failure(serve(b"no HTTP at all\r\n\r\n").url).arrived
    nobody = failure("https://nowhere.example/", Guard(resolve=lambda host, port: []))
    assert (nobody.code, nobody.arrived) == ("unknown_host", False)


@pytest.mark.parametrize(
    "url", ["ftp://hooks.example/", "https://", "http://user:pw@hooks.example/", "http://[::1", "http://hooks.example:99999/"]
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    assert failure(url).code == "bad_address"


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X A": "1"}, {"X-A\r\nX-B": "1"}, {"X-Ä": "1"}, {"X-A": "…"}])
def test_headers_cannot_be_smuggled(serve: Any, headers: dict[str, str]) -> None:
    server = serve(said(b"ok"))
    assert failure(server.url, headers=headers).code == "bad_request"
    assert server.got == []


def test_connections_are_kept_only_by_a_client_that_asks_for_it(serve: Any) -> None:
    server = serve(said(b"ok"))
    with client(HERE, timeout_seconds=PATIENCE_SECONDS) as kept:
        for _ in range(3):
            ask(kept, "GET", server.url, headers={}, timeout_seconds=PATIENCE_SECONDS, most_bytes=1_000)
    assert server.connections == 1
    assert [get(server.url).status for _ in range(2)] == [200, 200]
    assert server.connections == 3


def test_a_library_that_speaks_requests_goes_the_same_way(serve: Any) -> None:
    server = serve(said(b"ok", "X-A: 1"))
    answer = guarded_session(HERE).post(server.url, data=b"body")
    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (200, b"ok", "1")
    assert server.got[0].endswith(b"body")
    refusing = guarded_session(Guard(resolve=lambda host, port: ["127.0.0.1"]))
    with pytest.raises(requests.exceptions.InvalidURL):
        refusing.post(server.url, data=b"body")
    assert server.connections == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120), ("0", 1), ("86400", 3_600), ("9999999", 7), ("-5", 7), ("1.5", 7), ("²", 7), ("٣", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", 7), ("", 7)],
)  # fmt: skip
def test_a_retry_after_is_heeded_within_bounds(said: str, seconds: int) -> None:
    for name in ("Retry-After", "retry-after"):
        assert HttpAnswer(429, {name: said}, b"").retry_after(timedelta(seconds=7)) == timedelta(seconds=seconds)
