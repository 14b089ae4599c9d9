"""Postcards through a printer's interface, in both shapes, against a printer on this machine; and what it reports afterwards."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from activities.providers import AddressDead, InDoubt, MessageDead, Provider, ProviderFailure, RetryLater, SenderStopped, Unreachable
from activities.providers.callback import CallbackRefused, CallbackRequest, CallbackUnreadable
from activities.providers.postal_http import LOB_EVENTS, PINGEN_EVENTS, Events, PostalHttp, PostalHttpConfig
from activities.providers.provider import Outgoing, Printer
from activities.rendering.cards import A6, US
from activities.webhooks.address_guard import Guard
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing

STATUS = {RetryLater: 429, MessageDead: 422, AddressDead: 422, SenderStopped: 401}
KEY, CLIENT, ORGANISATION, SECRET = "test_key", "client-1", "org-1", "whsec"


class Printing(ThreadingHTTPServer):
    """Keeps idempotency keys as printers do; `next` is the failure that the next order meets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.orders: dict[str, tuple[str, dict[str, Any]]] = {}
        self.uploads: dict[str, bytes] = {}
        self.next: type[ProviderFailure] | int | None = None
        self.bodies: dict[str, bytes] = {}
        self.posted = self.tokens = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Printing

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/file-upload" and self._is_bearer():
            with self.server.lock:
                number = str(len(self.server.uploads))
                self.server.uploads[number] = b""
            place = {"url": f"https://files.pingen.example/{number}", "url_signature": f"signed-{number}"}
            return self._say(200, {"data": {"attributes": place}})
        good = self._is_bearer() if path == f"/organisations/{ORGANISATION}" else self._is_basic() and path == "/v1/postcards"
        return self._say(200 if good else 401, {"data": {"id": ORGANISATION}})

    def do_PUT(self) -> None:
        self.server.uploads[self.path[1:]] = self._body()
        self._say(200, {})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/auth/access-tokens":
            return self._token(parse_qs(body.decode()))
        with self.server.lock:
            self.server.posted += 1
            failure, self.server.next = self.server.next, None
        if isinstance(failure, int):
            return self._say(failure, {"error": {"message": SPOKEN}})
        if failure in STATUS:
            code = "failed_deliverability_strictness" if failure is AddressDead else SPOKEN
            return self._say(STATUS[failure], {"error": {"code": code, "message": SPOKEN}}, {"Retry-After": "7"})
        if not (self._is_basic() or self._is_bearer()):
            return self._say(401, {})
        key = self.headers["Idempotency-Key"]
        with self.server.lock:
            number, _ = self.server.orders.setdefault(key, (f"psc_{len(self.server.orders)}", self._order(body)))
        if failure is InDoubt:
            self.close_connection = True
            return None
        return self._say(200, {"id": number} if self.path == "/v1/postcards" else {"data": {"id": number}})

    def _order(self, body: bytes) -> dict[str, Any]:
        if self.path == "/v1/postcards":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = BytesParser(policy=HTTP).parsebytes(head + body)
            return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts.iter_parts()}  # type: ignore[attr-defined]
        assert self.path == f"/organisations/{ORGANISATION}/letters"
        attributes = json.loads(body)["data"]["attributes"]
        number = attributes["file_url"].rpartition("/")[2]
        assert attributes["file_url_signature"] == f"signed-{number}"
        return {**attributes, "front": self.server.uploads[number]}

    def _token(self, form: dict[str, list[str]]) -> None:
        good = form["client_id"] == [CLIENT] and form["client_secret"] == [KEY] and form["grant_type"] == ["client_credentials"]
        self.server.tokens += 1
        self._say(200 if good else 401, {"access_token": "t-1", "expires_in": 3600} if good else {})

    def _is_basic(self) -> bool:
        return self.headers["Authorization"] == "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()

    def _is_bearer(self) -> bool:
        return self.headers["Authorization"] == "Bearer t-1"

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _say(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def config_of(shape: str, **changes: Any) -> PostalHttpConfig:
    own = {"client_id": CLIENT, "organisation": ORGANISATION} if shape == "pingen" else {}
    return PostalHttpConfig.model_validate({"shape": shape, "api_key": KEY, "webhook_secret": SECRET, **own, **changes})


class PostalWire:
    failures: tuple[type[ProviderFailure], ...] = (*STATUS, InDoubt)

    def __init__(self, server: Printing, shape: str, **changes: Any) -> None:
        self.server = server

        def elsewhere(url: str) -> str:
            parts = urlsplit(url)
            return f"http://127.0.0.1:{server.server_port}{parts.path}{'?' + parts.query if parts.query else ''}"

        self.provider: Provider = PostalHttp(config_of(shape, **changes), Guard.allowing(["127.0.0.1"]), elsewhere)

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.server.next = with_

    def arrived(self, once_key: str) -> list[Arrived]:
        found = self.server.orders.get(hashlib.sha256(once_key.encode()).hexdigest())
        if found is None:
            return []
        _, recipient, text = found[1]["front"].decode().split("\n", 2)
        return [Arrived(recipient, "", text)]

    def go_away(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def printing() -> Iterator[Printing]:
    """A printer as long as the block lasts."""
    server = Printing()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Printing]:
    with printing() as server:
        yield server


class Shape(Conformance):
    channel = "postcard"
    shape = ""

    @pytest.fixture
    def wire(self, server: Printing) -> Iterator[PostalWire]:
        wire = PostalWire(server, self.shape)
        yield wire
        wire.provider.close()

    def test_a_card_in_doubt_is_printed_once_however_often_it_is_repeated(self, wire: PostalWire, server: Printing) -> None:
        message = self.message()
        for _ in range(3):
            wire.fail(InDoubt)
            with pytest.raises(InDoubt):
                wire.provider.send(message)
        assert wire.provider.send(message).provider_id == "psc_0"
        assert len(server.orders) == 1

    @pytest.mark.parametrize("status", [409, 500, 502, 503, 504, 301, 418])
    def test_whatever_is_no_refusal_leaves_the_card_in_doubt(self, wire: PostalWire, server: Printing, status: int) -> None:
        server.next = status
        with pytest.raises(InDoubt):
            wire.provider.send(self.message())

    def test_a_card_without_its_pdf_is_not_ordered(self, wire: PostalWire, server: Printing) -> None:
        with pytest.raises(MessageDead):
            wire.provider.send(Outgoing("k", "m", "postcard", "Ada | Weg 1 | | 3000 | Bern | | CH"))
        assert server.posted == 0

    def test_it_is_asked_to_wait_as_long_as_the_printer_says(self, wire: PostalWire) -> None:
        wire.fail(RetryLater)
        with pytest.raises(RetryLater) as caught:
            wire.provider.send(self.message())
        assert caught.value.after.total_seconds() == 7


class TestLob(Shape):
    shape = "lob"

    def test_the_address_goes_in_fields_of_their_own(self, wire: PostalWire, server: Printing) -> None:
        message = outgoing(
            channel="postcard", recipient="Ada Lovelace | 1 Way | Apt 2 | 89501 | Reno | NV | US", parts={"objection": "Stop?"}
        )
        wire.provider.send(message)
        [(_, order)] = server.orders.values()
        fields = {name: value.decode() for name, value in order.items() if name not in ("front", "back")}
        assert {name: value for name, value in fields.items() if name.startswith("to[")} == {
            "to[name]": "Ada Lovelace", "to[address_line1]": "1 Way", "to[address_line2]": "Apt 2", "to[address_city]": "Reno",
            "to[address_state]": "NV", "to[address_zip]": "89501", "to[address_country]": "US",
        }  # fmt: skip
        assert (fields["size"], fields["use_type"], fields["metadata[message]"]) == ("4x6", "marketing", message.message_id)
        assert order["front"].startswith(b"%PDF-")
        assert order["back"].startswith(b"%PDF-")


class TestPingen(Shape):
    shape = "pingen"

    def test_the_token_is_kept(self, wire: PostalWire, server: Printing) -> None:
        for number in range(3):
            wire.provider.send(self.message(f"run{number}:a:1"))
        assert server.tokens == 1

    def test_a_wrong_key_stops_the_account(self, server: Printing) -> None:
        other = PostalWire(server, "pingen", api_key="other").provider
        with pytest.raises(SenderStopped):
            other.send(self.message())
        other.close()

    def test_what_is_not_set_up_is_said(self, server: Printing) -> None:
        with pytest.raises(SenderStopped) as caught:
            PostalWire(server, "pingen", organisation="").provider.verify()
        assert caught.value.code == "postal_not_set_up"


def test_each_shape_says_on_what_it_prints() -> None:
    lob, pingen = (PostalHttp(config_of(shape)) for shape in ("lob", "pingen"))
    assert isinstance(lob, Printer)
    assert (lob.paper, lob.adds_address, lob.separates_sides) == (US, True, True)
    assert (pingen.paper, pingen.adds_address, pingen.separates_sides) == (A6, False, False)


def test_nothing_inside_the_network_is_reached() -> None:
    provider = PostalHttp(config_of("lob", base_url="https://127.0.0.1:9"))
    with pytest.raises(Unreachable):
        provider.verify()


@pytest.mark.parametrize(
    "url", ["http://printer.example", "https://u:p@printer.example", "ftp://x", "https://", "https://x?y", "javascript:x"]
)
def test_an_address_that_would_tell_the_key_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        config_of("lob", base_url=url)


# What is reported

NOW = 1_790_000_000.0


class Frozen(Events):
    now = staticmethod(lambda: NOW)


def call(shape: str, told: object, *, at: float = NOW, secret: str = SECRET, body: bytes | None = None) -> CallbackRequest:
    content = json.dumps(told).encode()
    stamp = str(int(at * 1000))
    if shape == "lob":
        signed = hmac.new(secret.encode(), stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
        headers = {"lob-signature": signed, "lob-signature-timestamp": stamp}
    else:
        headers = {"signature": hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}
    return CallbackRequest("POST", "https://m.example/callbacks/postal_http.main/events", headers, content if body is None else body)


def of_lob(name: str) -> dict[str, Any]:
    card = {"id": "psc_1", "metadata": {"message": "m1"}}
    return {"id": "evt_1", "event_type": {"id": name}, "date_created": "2026-09-21T13:33:20.000Z", "body": card}


def of_pingen(name: str) -> dict[str, Any]:
    letter = {"letter": {"data": {"type": "letters", "id": "psc_1"}}}
    return {"data": {"type": name, "attributes": {"reason": SPOKEN, "created_at": "2026-09-21T13:33:20+0000"}, "relationships": letter}}


@pytest.mark.parametrize(
    ("shape", "name", "kind"), [*(("lob", *one) for one in LOB_EVENTS.items()), *(("pingen", *one) for one in PINGEN_EVENTS.items())]
)
def test_every_state_is_told_in_our_words(shape: str, name: str, kind: str) -> None:
    callback, told = Frozen(config_of(shape)), of_lob(name) if shape == "lob" else of_pingen(name)
    request = call(shape, told)
    callback.verify(request)
    [found] = callback.read(request)
    assert (found.kind, found.provider_id, found.message_id) == (kind, "psc_1", "m1" if shape == "lob" else "")
    assert found.at is not None
    assert found.code.startswith(shape)
    assert SPOKEN not in found.code


def test_a_card_that_came_back_is_a_hard_bounce() -> None:
    assert (LOB_EVENTS["postcard.returned_to_sender"], PINGEN_EVENTS["webhook_undeliverable"]) == ("bounced", "bounced")


@pytest.mark.parametrize("shape", ["lob", "pingen"])
def test_what_is_of_no_interest_is_left_out_and_what_is_broken_comes_again(shape: str) -> None:
    callback = Frozen(config_of(shape))
    told = of_lob("postcard.in_transit") if shape == "lob" else of_pingen("webhook_other")
    assert list(callback.read(call(shape, told))) == []
    for broken in ({}, [], None, 3, {"data": []}, {"event_type": None}, "[" * 10_000):
        with pytest.raises(CallbackUnreadable):
            callback.read(call(shape, broken, body=broken.encode() if isinstance(broken, str) else None))


@pytest.mark.parametrize("shape", ["lob", "pingen"])
def test_a_call_that_the_printer_did_not_sign_is_refused(shape: str) -> None:
    callback, told = Frozen(config_of(shape)), of_lob("postcard.delivered") if shape == "lob" else of_pingen("webhook_sent")
    good = call(shape, told)
    callback.verify(good)
    forged = [
        call(shape, told, secret="other"), call(shape, told, body=b"{}"), CallbackRequest("POST", good.url, {}, good.body),
        CallbackRequest("POST", good.url, dict.fromkeys(good.headers, "é"), good.body),
    ]  # fmt: skip
    for request in forged:
        with pytest.raises(CallbackRefused):
            callback.verify(request)
    with pytest.raises(CallbackRefused):
        Frozen(config_of(shape, webhook_secret="")).verify(call(shape, told, secret=""))


@pytest.mark.parametrize(("seconds", "is_taken"), [(-299, True), (299, True), (-301, False), (301, False), (-86_400, False)])
def test_lob_calls_are_taken_for_five_minutes(seconds: int, is_taken: bool) -> None:
    callback, request = Frozen(config_of("lob")), call("lob", of_lob("postcard.delivered"), at=NOW + seconds)
    if is_taken:
        callback.verify(request)
        return
    with pytest.raises(CallbackRefused):
        callback.verify(request)
