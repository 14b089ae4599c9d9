"""The provider `webpush` against a server that takes what a push service takes; a browser's own keys read it, and its VAPID signature is verified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from activities import account_setup
from activities.http_client import HttpAnswer
from activities.providers import AddressDead, InDoubt, MessageDead, PolicyRefused, Provider, ProviderFailure, RetryLater, Surroundings
from activities.providers.to_devices import tag_of
from activities.providers.webpush import MOST_PLAIN_BYTES, WebPush, WebPushConfig, new_key, public_key, sort
from activities.webhooks.address_guard import Guard
from crm.people import devices
from models import Database
from tests.activities.providers.conformance import RECIPIENTS, Arrived, Conformance, outgoing
from tests.activities.providers.push_service import NOW, Browser, PushService, Taken, addresses, unb64, with_device

ANNA = RECIPIENTS["push"]
CONFIG = WebPushConfig(contact="mailto:web@example.org", vapid_key=new_key())
STATUSES: dict[type[ProviderFailure], int] = {AddressDead: 410, MessageDead: 413, RetryLater: 429, PolicyRefused: 403}


class PushWire:
    failures: tuple[type[ProviderFailure], ...] = (*STATUSES, InDoubt)

    def __init__(self, db: Database) -> None:
        self.db, self.service, self.browser = db, PushService(), Browser()
        self.endpoint = "https://push.example/anna"
        self.opened: list[WebPush] = []
        self.provider: Provider = self.open(_Registering)

    def open(self, kind: Any = WebPush, config: WebPushConfig = CONFIG, guard: Guard | None = None) -> Any:
        around = Surroundings(self.db, lambda: NOW)

        def elsewhere(url: str) -> str:
            assert urlsplit(url).scheme == "https"
            return f"http://127.0.0.1:{self.service.port}{urlsplit(url).path}"

        self.opened.append(kind(config, around, guard or Guard.allowing(["127.0.0.1"]), elsewhere))
        self.opened[-1].wire = self  # type: ignore[attr-defined]
        return self.opened[-1]

    def register(self, endpoint: str = "", *, at: Any = NOW, key: str = public_key(CONFIG)) -> None:
        device = devices.Registration(
            "web", endpoint or self.endpoint, self.browser.p256dh, self.browser.subscription("")["keys"]["auth"], key
        )
        with_device(self.db, ANNA, device, at)

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.service.replies = [
            None if with_ is InDoubt else (STATUSES[with_], {"Retry-After": "120"}, b"person@example.org said M\xc3\xbcller")
        ]

    def arrived(self, once_key: str) -> list[Arrived]:
        """As a browser shows them: of one tag there is one."""
        tag = tag_of(outgoing(once_key))
        read = {taken.headers["Topic"]: self.browser.read(taken.body) for taken in self.service.taken}
        return [Arrived(ANNA, "", read[tag]["text"])] if tag in read else []

    def go_away(self) -> None:
        self.service.close()
        with self.db.write() as session:
            SQLModel.metadata.drop_all(session.connection())


class _Registering(WebPush):
    """The browser registers anew before each message: one that is gone comes back."""

    def send(self, message: Any) -> Any:
        with suppress(DBAPIError):  # after `go_away`
            self.wire.register()  # type: ignore[attr-defined]
        return super().send(message)


@pytest.fixture
def wire(sqlite_db: Database) -> Iterator[PushWire]:
    wire = PushWire(sqlite_db)
    yield wire
    for one in wire.opened:
        one.close()
    wire.service.close()


class TestConformance(Conformance):
    channel = "push"

    def test_a_message_arrives_as_it_was_handed_over(self, wire: Any) -> None:
        message = outgoing(
            channel="push", recipient=ANNA, parts={"title": "x", "url": "https://shop.example/r/1", "button": "Öffnen", "icon": ""}
        )
        assert wire.provider.send(message).status == "sent"
        [taken] = wire.service.taken
        assert wire.browser.read(taken.body) == {
            "id": message.message_id, "tag": message.message_id, "title": "x", "text": message.text, "url": "https://shop.example/r/1", "button": "Öffnen",
        }  # fmt: skip


def push(once_key: str = "run1:push:1", **changes: Any) -> Any:
    return outgoing(once_key, channel="push", recipient=ANNA, **changes)


def test_the_headers_say_how_long_how_urgently_and_what_it_replaces(wire: PushWire) -> None:
    provider = wire.open()
    wire.register()
    provider.send(push("a", lifetime=timedelta(hours=2), urgency="high"))
    provider.send(push("b", replaces="order"))
    provider.send(push("c", replaces="order"))
    first, second, third = [taken.headers for taken in wire.service.taken]
    assert (first["TTL"], first["Urgency"], first["Topic"]) == ("7200", "high", push("a").message_id)
    assert (second["TTL"], second["Urgency"], second["Content-Encoding"]) == ("86400", "normal", "aes128gcm")
    assert second["Topic"] == third["Topic"] != first["Topic"]
    assert all(len(one["Topic"]) <= 32 for one in (first, second))


def test_the_push_service_can_verify_who_sends(wire: PushWire) -> None:
    """Source: RFC 8292, 2 and 4.2."""
    provider = wire.open()
    wire.register()
    provider.send(push())
    scheme, _, rest = wire.service.taken[0].headers["Authorization"].partition(" ")
    said = dict(pair.split("=", 1) for pair in rest.split(","))
    assert (scheme, said["k"]) == ("vapid", public_key(CONFIG))
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(said["k"]))
    claims = jwt.decode(said["t"], point, algorithms=["ES256"], audience="https://push.example")
    assert claims["sub"] == "mailto:web@example.org"
    assert 0 < claims["exp"] - NOW.timestamp() <= 86_400


def test_a_message_goes_to_all_browsers_and_what_is_gone_is_removed(wire: PushWire) -> None:
    """Sent once one has taken it; the one that is gone is removed, the one that is busy stays."""
    provider = wire.open()
    for number, name in enumerate(("gone", "busy", "fine")):
        wire.register(f"https://push.example/{name}", at=NOW - timedelta(minutes=number))
    wire.service.replies = [(410, {}, b""), (503, {}, b"")]
    answer = provider.send(push())
    assert (answer.status, dict(answer.raw)) == ("sent", {"devices": 3, "taken": 1, "gone": 1})
    assert addresses(wire.db, ANNA) == ["https://push.example/busy", "https://push.example/fine"]


def test_when_the_last_one_goes_there_is_no_address_any_more(wire: PushWire) -> None:
    provider = wire.open()
    wire.register()
    wire.service.replies = [(404, {}, b"")]
    with pytest.raises(AddressDead, match="webpush_http_404"):
        provider.send(push())
    assert addresses(wire.db, ANNA) == []
    with pytest.raises(MessageDead, match="push_no_device"):
        provider.send(push())


def test_a_browser_that_subscribed_for_another_key_is_not_called(wire: PushWire) -> None:
    wire.register(key=public_key(WebPushConfig(contact="mailto:web@example.org")))
    with pytest.raises(MessageDead, match="push_no_device"):
        wire.open().send(push())
    assert wire.service.taken == []


def test_an_endpoint_inside_our_network_is_never_called_and_is_removed(wire: PushWire) -> None:
    """The guard as it stands in production: the address was a stranger's word."""
    provider = wire.open(guard=Guard())
    wire.register()
    with pytest.raises(AddressDead, match="webpush_address_refused"):
        provider.send(push())
    assert (wire.service.taken, addresses(wire.db, ANNA)) == ([], [])


@pytest.mark.parametrize("text", ["ä" * 400, "🎉" * 400, "x" * 400])
def test_what_is_sent_always_fits_and_is_cut_at_a_character(wire: PushWire, text: str) -> None:
    provider = wire.open()
    wire.register()
    long = {"url": "https://shop.example/" + "u" * 1_500, "picture": "https://shop.example/" + "p" * 900, "icon": "https://shop.example/i"}
    provider.send(push(text=text, parts=long))
    [taken] = wire.service.taken
    said = wire.browser.read(taken.body)
    assert len(taken.body) <= 4_096
    assert said["url"] == long["url"]
    assert said["text"].rstrip("…") == text[: len(said["text"].rstrip("…"))] != ""


def test_an_address_that_can_never_fit_is_the_message_s_own_fault(wire: PushWire) -> None:
    wire.register()
    with pytest.raises(MessageDead, match="webpush_too_large"):
        wire.open().send(push(parts={"url": "https://shop.example/" + "u" * MOST_PLAIN_BYTES}))


@pytest.mark.parametrize(
    ("status", "headers", "failure", "after"),
    [
        (404, {}, AddressDead, None),
        (410, {}, AddressDead, None),
        (413, {}, MessageDead, None),
        (400, {}, MessageDead, None),
        (301, {"location": "http://169.254.169.254/"}, MessageDead, None),
        (401, {}, PolicyRefused, None),
        (403, {}, PolicyRefused, None),
        (429, {"Retry-After": "120"}, RetryLater, 120),
        (429, {"Retry-After": "99999999"}, RetryLater, 30),
        (429, {"Retry-After": "86400"}, RetryLater, 3_600),
        (429, {"Retry-After": "-5"}, RetryLater, 30),
        (500, {}, RetryLater, 30),
        (503, {"retry-after": "7"}, RetryLater, 7),
    ],
)
def test_the_table_of_answers(status: int, headers: dict[str, str], failure: type[ProviderFailure], after: int | None) -> None:
    """None of them stops the account: anybody can register an endpoint that says so."""
    found = sort(HttpAnswer(status, headers, b""))
    assert (type(found), found.code) == (failure, f"webpush_http_{status}")
    assert after is None or (isinstance(found, RetryLater) and found.after == timedelta(seconds=after))


def test_the_key_is_made_when_the_account_is_and_stays() -> None:
    config, given = account_setup.read(WebPush, {"contact": "mailto:web@example.org"})
    assert set(given.config) == {"contact"}
    assert given.secrets["vapid_key"] == config.vapid_key.get_secret_value()  # type: ignore[attr-defined]
    assert public_key(config) != public_key(account_setup.read(WebPush, {"contact": "mailto:web@example.org"})[0])  # type: ignore[arg-type]
    assert "vapid_key" not in {name for name in WebPush.Config.model_fields if name not in account_setup.made_fields(WebPush)}


@pytest.mark.parametrize(
    "contact", ["web@example.org", "mailto:web", "http://shop.example", "mailto:a@b.ch\nx", "https://localhost", "javascript:a.b"]
)
def test_what_is_no_contact_is_refused(contact: str) -> None:
    with pytest.raises(ValidationError):
        WebPushConfig(contact=contact)


@pytest.mark.parametrize("key", ["", "x", "A" * 43, "-" * 90])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        WebPushConfig(contact="mailto:web@example.org", vapid_key=SecretStr(key))


def test_one_signature_serves_a_push_service_for_hours(wire: PushWire) -> None:
    provider = wire.open()
    for name in ("a", "b"):
        wire.register(f"https://push.example/{name}")
    provider.send(push())
    one, two = wire.service.taken
    assert one.headers["Authorization"] == two.headers["Authorization"]
    assert isinstance(one, Taken)
