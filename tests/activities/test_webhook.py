"""Webhooks against a real local server, which must be allow-listed to be reached at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from activities.providers import Answer, MessageDead, RetryLater
from activities.webhooks.address_guard import Guard, Refused
from activities.webhooks.client import MAX_ANSWER_BYTES, Reply, Request, call, verify
from journeys.errors import Misconfigured

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
Answering = Callable[[BaseHTTPRequestHandler], None]


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    answer: Answering

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer = says(200, b'{"points": 3}', {"Content-Type": "application/json"})

    @property
    def url(self) -> str:
        return f"http://hooks.example:{self.server_port}/in?x=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.got.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.server.answer(self)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Quiet."""


def says(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


GUARD = Guard.allowing(["hooks.example"], lambda host, port: ["127.0.0.1"])


def made(receiver: Receiver, **changes: object) -> Reply:
    request = {"id": "run1:hook:1", "url": receiver.url, "body": b'{"a": 1}', "secret": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="}
    return call(Request(**{**request, **changes}), GUARD, NOW, timeout_seconds=2)  # type: ignore[arg-type]


def test_a_call_arrives_signed_under_its_own_name(receiver: Receiver) -> None:
    reply = made(receiver, headers={"X-Shop": "one", "Webhook-Id": "forged", "Host": "forged"})
    method, path, headers, body = receiver.got[0]
    assert reply == Reply("ok", "http_200", 200, data={"points": 3})
    assert (method, path, body) == ("POST", "/in?x=1", b'{"a": 1}')
    assert headers["host"] == f"hooks.example:{receiver.server_port}"
    assert headers["x-shop"] == "one"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == headers["idempotency-key"] == "run1:hook:1"
    secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
    assert verify(secret, headers, body, NOW)
    assert not verify(secret, headers, body + b" ", NOW)
    assert not verify(secret, {**headers, "webhook-id": "other"}, body, NOW)
    assert not verify("another", headers, body, NOW)
    assert not verify(secret, headers, body, NOW + timedelta(minutes=6))


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference implementation."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, body, datetime.fromtimestamp(1614265330, UTC))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (204, "ok"), (301, "failed"), (302, "failed"), (400, "failed"), (404, "failed"), (410, "failed"), (408, "retry"), (429, "retry"),
     (500, "retry"), (501, "failed"), (503, "retry")],
)  # fmt: skip
def test_answers_are_sorted(receiver: Receiver, status: int, outcome: str) -> None:
    receiver.answer = says(status, headers={"Location": "http://127.0.0.1/"})
    assert made(receiver).outcome == outcome
    assert len(receiver.got) == 1


def test_a_receiver_may_say_when_to_come_back(receiver: Receiver) -> None:
    receiver.answer = says(429, headers={"Retry-After": "120"})
    with pytest.raises(RetryLater) as caught:
        made(receiver).answer()
    assert (caught.value.code, caught.value.after) == ("http_429", timedelta(minutes=2))


def test_only_so_much_of_an_answer_is_read(receiver: Receiver) -> None:
    receiver.answer = says(200, b'{"a": "' + b"x" * MAX_ANSWER_BYTES * 20 + b'"}', {"Content-Type": "application/json"})
    reply = made(receiver)
    assert (reply.outcome, reply.data) == ("ok", {})


def test_a_server_that_drips_meets_the_deadline(receiver: Receiver) -> None:
    """The answer comes while the server still drips: a minute's worth, which it is spared."""
    stop, over = threading.Event(), threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(3_000):
            if stop.wait(0.02):
                break
            try:
                handler.wfile.write(b"x")
            except OSError:
                break
        else:
            over.set()

    receiver.answer = drip
    reply = call(Request("a:b:1", receiver.url), GUARD, NOW, timeout_seconds=0.4)
    stop.set()
    assert reply == Reply("retry", "timeout")
    assert not over.is_set()


def test_what_cannot_be_reached_is_tried_again(receiver: Receiver) -> None:
    receiver.server_close()
    assert made(receiver).outcome == "retry"
    nobody = Guard(resolve=lambda host, port: [])
    assert call(Request("a:b:1", "https://nowhere.example/"), nobody, NOW).code == "unknown_host"


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "https://", "http://user:pw@example.org/", "https://[::1", "http://example.org:99999/", "x"]
)
def test_what_is_no_address_fails_for_good(url: str) -> None:
    with pytest.raises(MessageDead):
        call(Request("a:b:1", url), GUARD, NOW).answer()


@pytest.mark.parametrize("name", ["X-A\r\nX-B", "X A"])
def test_headers_cannot_be_smuggled(receiver: Receiver, name: str) -> None:
    assert made(receiver, headers={name: "1"}) == Reply("failed", "bad_request")
    assert made(receiver, headers={"X-A": "1\r\nX-B: 2"}) == Reply("failed", "bad_request")
    assert receiver.got == []


def test_a_good_answer_is_an_answer(receiver: Receiver) -> None:
    assert made(receiver).answer() == Answer(raw={"code": 200})


PRIVATE = (
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "not an address",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_our_own_network_are_refused(address: str) -> None:
    guard = Guard(resolve=lambda host, port: [address])
    with pytest.raises(Refused):
        guard.pick("hooks.example", 443)
    assert call(Request("a:b:1", "https://hooks.example/"), guard, NOW) == Reply("failed", "address_refused")


def test_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(Refused):
        Guard(resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"]).pick("hooks.example", 443)


def test_public_addresses_and_exceptions_pass() -> None:
    assert Guard(resolve=lambda host, port: ["93.184.216.34"]).pick("hooks.example", 443) == "93.184.216.34"
    assert Guard.allowing(["10.0.0.0/8"], lambda host, port: ["10.1.2.3"]).pick("hooks.example", 443) == "10.1.2.3"
    assert Guard.allowing(["[::1]"], lambda host, port: ["::1"]).pick("x", 1) == "::1"
    assert Guard.allowing(["Hooks.Example."], lambda host, port: ["127.0.0.1"]).pick("hooks.example", 443) == "127.0.0.1"
    with pytest.raises(Refused):
        Guard.allowing(["10.0.0.0/8"], lambda host, port: ["192.168.0.1"]).pick("hooks.example", 443)
    with pytest.raises(Misconfigured):
        Guard.allowing(["10.0.0.0/99"])


def test_the_judged_address_is_the_one_that_is_called(receiver: Receiver) -> None:
    """A name that answers differently the second time (DNS rebinding) is asked once only."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    reply = call(Request("a:b:1", receiver.url), Guard.allowing(["127.0.0.1"], resolve), NOW, timeout_seconds=2)
    assert reply.outcome == "ok"
    assert asked == ["hooks.example"]


def test_an_answer_that_no_database_can_store_as_it_stands_is_made_storable(receiver: Receiver) -> None:
    body = b'{"id": 123456789012345678901234567890, "half": "\\ud800", "nul": "a\\u0000b", "much": 1e400, "on": "2026-3-2"}'
    receiver.answer = says(200, body, {"Content-Type": "application/json"})
    kept = {"id": "123456789012345678901234567890", "half": "?", "nul": "ab", "much": None, "on": "2026-3-2"}
    assert made(receiver).data == kept


def test_an_answer_that_nests_too_deep_is_not_kept(receiver: Receiver) -> None:
    receiver.answer = says(200, b'{"a":' * 300 + b"1" + b"}" * 300, {"Content-Type": "application/json"})
    reply = made(receiver)
    assert (reply.outcome, reply.data) == ("ok", {})
