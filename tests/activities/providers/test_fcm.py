"""The provider `fcm` against a server that speaks as Google's do: it checks the assertion with the service account's public key, and hands out tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from activities.http_client import HttpAnswer
from activities.providers import (
    AddressDead,
    Answer,
    InDoubt,
    MessageDead,
    PolicyRefused,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
)
from activities.providers.fcm import GRANT, SCOPE, TOKENS, Fcm, FcmConfig, sort
from activities.providers.to_devices import tag_of
from activities.providers.together import Together
from activities.webhooks.address_guard import Guard
from crm.people import devices
from models import Database
from tests.activities.providers.conformance import RECIPIENTS, SPOKEN, Arrived, Conformance, outgoing
from tests.activities.providers.push_service import NOW, PushService, Reply, Taken, addresses, with_device

ANNA = RECIPIENTS["push"]
KEY = rsa.generate_private_key(65_537, 2_048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
FILE = {
    "type": "service_account", "project_id": "shop-1a2b", "private_key_id": "k1", "private_key": PEM,
    "client_email": "push@shop-1a2b.iam.gserviceaccount.com", "token_uri": "https://evil.example/token",
}  # fmt: skip


def refusal(status: int, code: str, *, own: bool = True, field: str = "") -> Reply:
    details: list[dict[str, Any]] = []
    if own:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    if field:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field, "description": SPOKEN}]})
    error = {"code": status, "message": SPOKEN, "status": "INVALID_ARGUMENT" if own else code, "details": details}
    return status, {"Retry-After": "45"}, json.dumps({"error": error}).encode()


REFUSALS: dict[type[ProviderFailure], Reply] = {
    AddressDead: refusal(404, "UNREGISTERED"),
    RetryLater: refusal(429, "QUOTA_EXCEEDED"),
    Unreachable: refusal(503, "UNAVAILABLE"),
    MessageDead: refusal(400, "INVALID_ARGUMENT"),
    PolicyRefused: refusal(401, "THIRD_PARTY_AUTH_ERROR"),
    SenderStopped: refusal(403, "PERMISSION_DENIED", own=False),
}


class FcmWire:
    failures: tuple[type[ProviderFailure], ...] = (*REFUSALS, InDoubt)

    def __init__(self, db: Database) -> None:
        self.db, self.service = db, PushService(self.answer)
        self.next: Reply | tuple[()] | None = ()
        self.grants: list[dict[str, Any]] = []
        self.good = "token-1"
        self.tokens = PushService(self.grant)
        self.opened: list[Fcm] = []
        self.provider: Provider = self.open(_Registering)

    def open(self, kind: Any = Fcm, file: dict[str, Any] = FILE) -> Any:
        def elsewhere(url: str) -> str:
            parts = urlsplit(url)
            assert url == TOKENS or (parts.scheme, parts.netloc) == ("https", "fcm.googleapis.com")
            return f"http://127.0.0.1:{(self.tokens if url == TOKENS else self.service).port}{parts.path}"

        config = FcmConfig(service_account=SecretStr(json.dumps(file)))
        self.opened.append(kind(config, Surroundings(self.db, lambda: NOW), Guard.allowing(["127.0.0.1"]), elsewhere))
        self.opened[-1].wire = self  # type: ignore[attr-defined]
        return self.opened[-1]

    def grant(self, taken: Taken) -> Reply:
        form = {name: values[0] for name, values in parse_qs(taken.body.decode()).items()}
        assert form["grant_type"] == GRANT
        self.grants.append(jwt.decode(form["assertion"], KEY.public_key(), algorithms=["RS256"], audience=TOKENS))
        return 200, {}, json.dumps({"access_token": self.good, "expires_in": 3_599, "token_type": "Bearer"}).encode()

    def answer(self, taken: Taken) -> Reply:
        if taken.headers["Authorization"] != f"Bearer {self.good}":
            return refusal(401, "UNAUTHENTICATED", own=False)
        return 200, {}, b'{"name": "projects/shop-1a2b/messages/1"}'

    def register(self, token: str = "apptoken", kind: Any = "android") -> None:
        with_device(self.db, ANNA, devices.Registration(kind, token))

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.service.replies = [None if with_ is InDoubt else REFUSALS[with_]]

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(taken.body) for taken in self.service.taken]

    def arrived(self, once_key: str) -> list[Arrived]:
        """As a phone shows them: of one tag there is one."""
        tag = tag_of(outgoing(once_key))
        shown = {one["message"]["android"]["notification"]["tag"]: one["message"] for one in self.messages() if "token" in one["message"]}
        return [Arrived(ANNA, "", shown[tag]["notification"]["body"])] if tag in shown else []

    def go_away(self) -> None:
        self.service.close()
        self.tokens.close()
        with self.db.write() as session:
            SQLModel.metadata.drop_all(session.connection())


class _Registering(Fcm):
    def send(self, message: Any) -> Any:
        with suppress(DBAPIError):  # after `go_away`
            self.wire.register()  # type: ignore[attr-defined]
        return super().send(message)


@pytest.fixture
def wire(sqlite_db: Database) -> Iterator[FcmWire]:
    wire = FcmWire(sqlite_db)
    yield wire
    for one in wire.opened:
        one.close()
    wire.service.close()
    wire.tokens.close()


class TestConformance(Conformance):
    channel = "push"


def push(once_key: str = "run1:push:1", **changes: Any) -> Any:
    return outgoing(once_key, channel="push", recipient=ANNA, **changes)


def test_google_gets_an_assertion_for_messages_only_and_once_an_hour(wire: FcmWire) -> None:
    """And at its own address: the file's `token_uri` would take the assertion elsewhere."""
    provider = wire.open()
    wire.register()
    provider.send(push("a"))
    provider.send(push("b"))
    [claims] = wire.grants
    assert (claims["iss"], claims["scope"], claims["aud"]) == (FILE["client_email"], SCOPE, TOKENS)
    assert 0 < claims["exp"] - claims["iat"] <= 3_600
    assert [taken.path for taken in wire.service.taken] == ["/v1/projects/shop-1a2b/messages:send"] * 2


def test_a_message_as_google_reads_it(wire: FcmWire) -> None:
    wire.register()
    parts = {"title": "Hi", "url": "https://shop.example/r/1", "picture": "https://shop.example/p.png", "button": "Open"}
    wire.open().send(push(lifetime=timedelta(hours=1), urgency="high", parts=parts, replaces="order"))
    [sent] = wire.messages()
    tag = tag_of(push(replaces="order"))
    assert sent["message"] == {
        "token": "apptoken",
        "notification": {"title": "Hi", "body": push().text, "image": "https://shop.example/p.png"},
        "data": {"url": "https://shop.example/r/1", "button": "Open", "message_id": push().message_id},
        "android": {"collapse_key": tag, "ttl": "3600s", "priority": "HIGH", "notification": {"tag": tag}},
        "apns": {"headers": {"apns-collapse-id": tag, "apns-expiration": str(int(NOW.timestamp()) + 3_600), "apns-priority": "10"}},
    }


def test_a_token_that_google_has_ended_is_fetched_anew_once(wire: FcmWire) -> None:
    provider = wire.open()
    wire.register()
    provider.send(push("a"))
    wire.good = "token-2"
    assert provider.send(push("b")).status == "sent"
    assert len(wire.grants) == 2
    wire.service.answer = lambda _taken: refusal(401, "UNAUTHENTICATED", own=False)
    with pytest.raises(SenderStopped, match="fcm_UNAUTHENTICATED"):
        provider.send(push("c"))
    assert len(wire.grants) == 3


@pytest.mark.parametrize(
    ("reply", "failure", "code"),
    [
        ((400, {}, b'{"error": "invalid_grant", "error_description": "person@example.org"}'), SenderStopped, "fcm_grant_http_400"),
        ((200, {}, b"<html>"), SenderStopped, "fcm_grant_http_200"),
        ((200, {}, b'{"access_token": "a\\r\\nb"}'), SenderStopped, "fcm_grant_http_200"),
        ((503, {}, b""), Unreachable, "fcm_grant_http_503"),
        (None, Unreachable, "fcm_unreachable"),
    ],
)
def test_without_a_grant_nothing_has_left(wire: FcmWire, reply: Reply | None, failure: type[ProviderFailure], code: str) -> None:
    wire.register()
    wire.tokens.replies = [reply]
    with pytest.raises(failure) as caught:
        wire.open().send(push())
    assert (type(caught.value), caught.value.code) == (failure, code)
    assert wire.service.taken == []


def test_a_test_of_the_account_reaches_nobody(wire: FcmWire) -> None:
    wire.open().verify()
    [asked] = wire.messages()
    assert asked["validate_only"] is True
    assert "token" not in asked["message"]
    wire.service.replies = [refusal(403, "PERMISSION_DENIED", own=False)]
    with pytest.raises(SenderStopped, match="fcm_PERMISSION_DENIED"):
        wire.open().verify()


@pytest.mark.parametrize(
    ("reply", "failure", "code"),
    [
        (refusal(404, "UNREGISTERED"), AddressDead, "fcm_UNREGISTERED"),
        (refusal(403, "SENDER_ID_MISMATCH"), PolicyRefused, "fcm_SENDER_ID_MISMATCH"),
        (refusal(429, "QUOTA_EXCEEDED"), RetryLater, "fcm_QUOTA_EXCEEDED"),
        (refusal(429, "RESOURCE_EXHAUSTED", own=False), RetryLater, "fcm_QUOTA_EXCEEDED"),
        (refusal(503, "UNAVAILABLE"), Unreachable, "fcm_UNAVAILABLE"),
        (refusal(500, "INTERNAL"), InDoubt, "fcm_INTERNAL"),
        (refusal(400, "INVALID_ARGUMENT"), MessageDead, "fcm_INVALID_ARGUMENT"),
        (refusal(400, "INVALID_ARGUMENT", field="message.token"), AddressDead, "fcm_INVALID_ARGUMENT"),
        (refusal(400, "INVALID_ARGUMENT", field="message.data"), MessageDead, "fcm_INVALID_ARGUMENT"),
        (refusal(401, "THIRD_PARTY_AUTH_ERROR"), PolicyRefused, "fcm_THIRD_PARTY_AUTH_ERROR"),
        (refusal(404, "NOT_FOUND", own=False), SenderStopped, "fcm_NOT_FOUND"),
        (refusal(418, "NEW_CODE", own=False), MessageDead, "fcm_http_418"),
        ((502, {}, b"<html>"), InDoubt, "fcm_http_502"),
        ((503, {}, b"[]"), Unreachable, "fcm_http_503"),
        ((429, {}, b'{"error": {"details": 7}}'), RetryLater, "fcm_http_429"),
        ((401, {}, b'{"error": 1}'), SenderStopped, "fcm_http_401"),
    ],
)
def test_the_table_of_errors(reply: Reply, failure: type[ProviderFailure], code: str) -> None:
    status, headers, body = reply
    found = sort(HttpAnswer(status, headers, body))
    assert (type(found), found.code) == (failure, code)
    if isinstance(found, RetryLater) and headers:
        assert found.after == timedelta(seconds=45)


@pytest.mark.parametrize(
    "file",
    ["", "{}", "[]", json.dumps({**FILE, "private_key": "person@example.org"}), json.dumps({**FILE, "project_id": "a/../b"}), "{" * 5_000],
)
def test_what_is_no_service_account_is_refused_without_a_word_of_it(file: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FcmConfig(service_account=SecretStr(file))
    assert "person@example.org" not in str(caught.value)


# Several accounts together


class Part:
    """An account that answers or fails as it is told."""

    name, channels, delivery_check, remembers, reaches_people = "part", frozenset({"push"}), "idempotent", timedelta(0), True
    timeout_seconds = 1.0

    def __init__(self, kind: str, says: Answer | ProviderFailure) -> None:
        self.reaches, self.says, self.asked = frozenset({kind}), says, 0

    def send(self, message: Any) -> Answer:
        self.asked += 1
        if isinstance(self.says, ProviderFailure):
            raise self.says
        return self.says


TOOK = Answer(provider_id="t", raw={"devices": 1, "taken": 1, "gone": 0})


def together(*parts: Part, stopped: str = "") -> Together:
    names = [f"{part.name}.{number}" for number, part in enumerate(parts)]
    return Together(list(zip(names, parts, strict=True)), lambda account: "fcm_UNAVAILABLE" if account == stopped else "")  # type: ignore[arg-type]


def test_one_account_that_takes_it_is_enough_and_the_others_are_told_of() -> None:
    web, app = Part("web", TOOK), Part("android", SenderStopped("fcm_PERMISSION_DENIED"))
    answer = together(web, app).send(push())
    assert (answer.provider_id, answer.raw) == ("t", {"devices": 1, "taken": 1, "gone": 0})
    assert answer.accounts == {"part.0": None, "part.1": app.says}
    both = together(web, Part("android", TOOK))
    assert (both.send(push()).raw["devices"], both.reaches, both.timeout_seconds) == (2, frozenset({"web", "android"}), 2.0)


def test_an_account_whose_devices_the_contact_has_none_of_does_not_count() -> None:
    none = Part("web", MessageDead("push_no_device"))
    assert together(none, Part("android", TOOK)).send(push()).accounts == {"part.1": None}
    with pytest.raises(AddressDead):
        together(none, Part("android", AddressDead("fcm_UNREGISTERED"))).send(push())
    with pytest.raises(MessageDead, match="push_no_device"):
        together(none, none).send(push())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MessageDead("a"), InDoubt("b")),
        (RetryLater("a"), SenderStopped("b")),
        (AddressDead("a"), Unreachable("b")),
        (AddressDead("a"), RetryLater("b")),
        (AddressDead("a"), MessageDead("b")),
    ],
)
def test_where_nobody_took_it_what_may_have_arrived_or_can_be_mended_counts(one: ProviderFailure, other: ProviderFailure) -> None:
    for parts in ((one, other), (other, one)):
        with pytest.raises(type(other)) as caught:
            together(*(Part("web", failure) for failure in parts)).send(push())
        assert caught.value.account == f"part.{parts.index(other)}"


def test_an_account_that_is_stopped_is_not_asked_while_another_one_can_serve() -> None:
    app = Part("android", TOOK)
    assert together(Part("web", TOOK), app, stopped="part.1").send(push()).status == "sent"
    with pytest.raises(Unreachable, match="fcm_UNAVAILABLE"):
        together(Part("web", AddressDead("x")), app, stopped="part.1").send(push())
    assert app.asked == 0


def test_a_device_that_google_does_not_know_any_more_is_removed(wire: FcmWire) -> None:
    wire.register()
    wire.register("second", "ios")
    wire.service.replies = [REFUSALS[AddressDead]]
    assert wire.open().send(push()).raw == {"devices": 2, "taken": 1, "gone": 1}
    assert len(addresses(wire.db, ANNA)) == 1
