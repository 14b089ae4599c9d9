"""The provider `webpush`: notifications in browsers, by the Push API with VAPID.

Sources: RFC 8030 (the protocol), RFC 8291 (encryption), RFC 8292 (VAPID). pywebpush encrypts, py_vapid signs, and our one HTTP client calls. Whom
is called a stranger's browser has said: only https, no inner address, little time, and no answer of an endpoint ever stops the account.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02  # type: ignore[import-untyped]
from pydantic import Field, SecretStr, field_validator
from pywebpush import WebPusher  # type: ignore[import-untyped]

from activities.http_client import HttpAnswer, HttpFailure, ask, client
from activities.providers.provider import (
    AddressDead,
    Advice,
    InDoubt,
    MessageDead,
    Outgoing,
    PolicyRefused,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    Surroundings,
)
from activities.providers.to_devices import DEVICE_SECONDS, LATER, ToDevices, content, tag_of, ttl_of
from activities.webhooks.address_guard import Guard
from models import Device

MOST_PLAIN_BYTES: Final = 3_993
"""Of a message before it is encrypted: 4,096 less a header of 86 bytes, a tag of 16 and the delimiter. Source: RFC 8030, 7.2; RFC 8188, 2."""
SIGNED_FOR: Final = timedelta(hours=12)
"""Source: RFC 8292, 2: no more than 24 hours."""
SIGNED_AGAIN: Final = timedelta(hours=6)
MOST_KNOWN: Final = 200
"""Push services whose signature is kept; there are about four, but a stranger can name others."""
MOST_BYTES: Final = 4_000

TABLE: Mapping[int, type[ProviderFailure]] = {404: AddressDead, 410: AddressDead, 413: MessageDead, 400: MessageDead, 429: RetryLater}
"""Source: RFC 8030, 5 and 8.4, and the push services' own pages. 401 and 403 mean our signature; since anybody can register an endpoint that says
so, only many different ones in a row count (`PolicyRefused`)."""
NEVER: Final = frozenset({"bad_address", "address_refused", "bad_request"})
"""Failures of the HTTP client that say that an endpoint can be nobody's."""


def new_key() -> SecretStr:
    """A private VAPID key: 32 bytes in base64url. Source: RFC 8292, 2."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return SecretStr(_base64(number.to_bytes(32, "big")))


class WebPushConfig(ProviderConfig):
    """Nobody types the key: it is made when the account is set up, and browsers subscribe for it."""

    contact: str = Field(
        max_length=320,
        pattern=r"^(mailto:[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+|https://[^\s/:@<>]+\.[^\s/:@<>]+(/[^\s<>]*)?)$",
        title="Contact for push services",
        description="Such as mailto:web@example.org. Google, Mozilla and Apple write to it if something is wrong with your messages.",
    )
    vapid_key: SecretStr = Field(default_factory=new_key, max_length=100, title="VAPID key", json_schema_extra={"made": True})

    @field_validator("vapid_key")
    @classmethod
    def _is_key(cls, key: SecretStr) -> SecretStr:
        _private(key)
        return key


class WebPush(ToDevices):
    """`elsewhere` leads an endpoint to where a test stands."""

    name = "webpush"
    label = "Web push (browsers)"
    reaches = frozenset({"web"})
    Config = WebPushConfig
    advice: ClassVar[Advice] = (
        (r"webpush_http_(401|403)", "The push services refuse the key: check the contact address; if it stays, set up a new account."),
        (r"push_database", "The database does not answer."),
    )

    def __init__(
        self, config: WebPushConfig, around: Surroundings, guard: Guard | None = None, elsewhere: Callable[[str], str] = lambda url: url
    ) -> None:
        super().__init__(around.db, around.now)
        self._contact = config.contact
        self._signer = Vapid02(_private(config.vapid_key))
        self.browser_key = public_key(config)
        self._client: httpx.Client = client(guard or Guard(), timeout_seconds=DEVICE_SECONDS)
        self._elsewhere = elsewhere
        self._signed: dict[str, tuple[datetime, str]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, config: WebPushConfig, around: Surroundings) -> Self:
        return cls(config, around)

    def is_ours(self, device: Device) -> bool:
        return device.made_for == self.browser_key

    def call(self, device: Device, message: Outgoing) -> None:
        headers = {
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(ttl_of(message)),
            "Urgency": message.urgency if message.urgency in ("low", "normal", "high") else "normal",
            "Topic": tag_of(message),
            "Authorization": self._authorization(device.address),
        }
        body = _encrypted(device, _fitted(message))
        try:
            answer = ask(
                self._client,
                "POST",
                self._elsewhere(device.address),
                headers=headers,
                body=body,
                timeout_seconds=DEVICE_SECONDS,
                most_bytes=MOST_BYTES,
            )
        except HttpFailure as failure:
            raise _unanswered(failure) from None
        if not 200 <= answer.status < 300:
            raise sort(answer)

    def _authorization(self, endpoint: str) -> str:
        """One signature serves a push service for hours: it is the dear part of a message."""
        origin, now = _origin(endpoint), self._now()
        with self._lock:
            known = self._signed.get(origin)
            if known is not None and timedelta(0) <= now - known[0] < SIGNED_AGAIN:
                return known[1]
            if len(self._signed) >= MOST_KNOWN:
                self._signed.clear()
            claims = {"aud": origin, "exp": int((now + SIGNED_FOR).timestamp()), "sub": self._contact}
            signed = str(self._signer.sign(claims)["Authorization"])
            self._signed[origin] = (now, signed)
            return signed

    def close(self) -> None:
        self._client.close()


def public_key(config: WebPushConfig) -> str:
    """What browsers subscribe with (`applicationServerKey`): 65 bytes in base64url."""
    point = _private(config.vapid_key).public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return _base64(point)


def sort(answer: HttpAnswer) -> ProviderFailure:
    """The failure that a refusal of a push service means."""
    code = f"webpush_http_{answer.status}"
    if answer.status in (401, 403):
        return PolicyRefused(code)
    kind = TABLE.get(answer.status, MessageDead if answer.status < 500 else RetryLater)
    return RetryLater(code, answer.retry_after(LATER)) if kind is RetryLater else kind(code)


def _unanswered(failure: HttpFailure) -> ProviderFailure:
    """One endpoint that nobody answers at says nothing about the account."""
    if failure.code in NEVER:
        return AddressDead(f"webpush_{failure.code}")
    return InDoubt("webpush_no_answer") if failure.arrived else RetryLater(f"webpush_{failure.code}", LATER)


def _fitted(message: Outgoing) -> bytes:
    """What the service worker reads. Characters of several bytes can make it too long: then the text is cut, and the picture and the icon go last.

    Raises:
        MessageDead: even without text it is too long, because of its address.
    """
    said = {"id": message.message_id, "tag": tag_of(message), **content(message)}
    for leave in ("text", "picture", "icon"):
        over = len(_json(said)) - MOST_PLAIN_BYTES
        if over > 0 and leave == "text":
            said["text"] = _shorter(said.get("text", ""), over)
        elif over > 0:
            said.pop(leave, None)
    plain = _json(said)
    if len(plain) > MOST_PLAIN_BYTES:
        raise MessageDead("webpush_too_large")
    return plain


def _shorter(text: str, bytes_over: int) -> str:
    """Without its last characters: so many bytes less at least, and an ellipsis."""
    kept = text.encode()[: max(0, len(text.encode()) - bytes_over - 16)].decode("utf-8", "ignore").rstrip()
    return f"{kept}…" if kept else ""


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _encrypted(device: Device, plain: bytes) -> bytes:
    """Raises: AddressDead: its keys are none, so nothing can be sent there."""
    keys = {"p256dh": device.p256dh, "auth": device.auth}
    try:
        body: bytes = WebPusher({"endpoint": device.address, "keys": keys}).encode(plain, "aes128gcm")["body"]
    except Exception:  # noqa: BLE001 - whatever is wrong with a stranger's keys; its text may hold them
        raise AddressDead("webpush_bad_keys") from None
    return body


def _origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}"


def _private(key: SecretStr) -> ec.EllipticCurvePrivateKey:
    """Raises: ValueError: it is no key."""
    text = key.get_secret_value()
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != 32:
        raise ValueError("Expected a private key of 32 bytes.")
    return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
