"""The provider `fcm`: notifications in Android and iOS apps, by Firebase Cloud Messaging, HTTP v1.

A service account signs a short-lived assertion and gets an access token for it (RFC 7523); both calls go through our one HTTP client, and
always to Google's own hosts, whatever the file says. Source: Firebase "FCM HTTP v1 API", "FCM error codes". Apple's push service is behind it.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlencode

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr, field_validator

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
    SenderStopped,
    Surroundings,
    Unreachable,
    unanswered,
)
from activities.providers.to_devices import DEVICE_SECONDS, LATER, ToDevices, content, tag_of, ttl_of
from activities.webhooks.address_guard import Guard
from models import Device

TOKENS: Final = "https://oauth2.googleapis.com/token"
MESSAGES: Final = "https://fcm.googleapis.com/v1/projects/{project}/messages:send"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTED_FOR: Final = timedelta(minutes=30)
EARLIER_SECONDS: Final = 120.0
"""An access token is fetched anew so long before it ends."""
MOST_BYTES: Final = 64_000
PROJECT: Final = re.compile(r"[a-z][a-z0-9.-]{0,60}:?[a-z0-9-]{2,60}")
NOBODY: Final = "pfadwerk-account-test"
"""The topic of the message that `verify` has checked and not sent."""

TABLE: Mapping[str, type[ProviderFailure]] = {
    "UNREGISTERED": AddressDead, "SENDER_ID_MISMATCH": PolicyRefused,
    "QUOTA_EXCEEDED": RetryLater, "UNAVAILABLE": Unreachable, "INTERNAL": InDoubt,
    "INVALID_ARGUMENT": MessageDead, "THIRD_PARTY_AUTH_ERROR": PolicyRefused,
    "UNAUTHENTICATED": SenderStopped, "PERMISSION_DENIED": SenderStopped, "NOT_FOUND": SenderStopped,
}  # fmt: skip
"""What FCM's error codes, and the statuses of Google's APIs where there is none, mean. A token of another project
may be the file's fault, and a device that is taken away for it comes back only when its app is opened: many in a row count as the account's. An
invalid argument is the token's fault if FCM names it. THIRD_PARTY_AUTH_ERROR blames the key for Apple's service, which Android does not need:
many different devices in a row count as the account's. NOT_FOUND without UNREGISTERED is the project's."""


class FcmConfig(ProviderConfig):
    """The file of a service account, as Firebase hands it out."""

    service_account: SecretStr = Field(
        max_length=10_000,
        title="Service account (JSON)",
        description="The whole content of the file from the Firebase console, Project settings, Service accounts.",
    )

    @field_validator("service_account")
    @classmethod
    def _is_whole(cls, file: SecretStr) -> SecretStr:
        read(file)
        return file


class ServiceAccount:
    """What is used of the file: whose, which project's, and the key. Hosts are ours, not the file's."""

    def __init__(self, project: str, email: str, key_id: str, key: rsa.RSAPrivateKey) -> None:
        self.project, self.email, self.key_id, self.key = project, email, key_id, key

    def assertion(self, now: datetime) -> str:
        """Source: RFC 7523, 3; Google "Using OAuth 2.0 for server to server applications"."""
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": TOKENS,
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTED_FOR).timestamp()),
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id} if self.key_id else None)


def read(file: SecretStr) -> ServiceAccount:
    """Raises: ValueError: it is no file of a service account; its text holds nothing of it."""
    try:
        said = json.loads(file.get_secret_value())
        project, email, key_id = str(said["project_id"]), str(said["client_email"]), str(said.get("private_key_id", ""))
        key = load_pem_private_key(str(said["private_key"]).encode(), None)
    except Exception:  # noqa: BLE001 - whatever was pasted; the error may quote it
        raise ValueError("Expected the JSON file of a service account.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or not PROJECT.fullmatch(project) or not 3 <= len(email) <= 320 or len(key_id) > 100:
        raise ValueError("Expected the JSON file of a service account.")
    return ServiceAccount(project, email, key_id, key)


class Fcm(ToDevices):
    """`elsewhere` leads Google's addresses to where a test stands."""

    name = "fcm"
    label = "Firebase Cloud Messaging (Android and iOS apps)"
    reaches = frozenset({"android", "ios"})
    Config = FcmConfig
    advice: ClassVar[Advice] = (
        (r"fcm_unreachable|fcm_UNAVAILABLE", "Google's push service does not answer; messages leave as soon as it does."),
        (r"fcm_grant.*|fcm_UNAUTHENTICATED", "Google refuses the service account: create a new key in the Firebase console and enter it."),
        (r"fcm_PERMISSION_DENIED", "The service account may not send: enable the Firebase Cloud Messaging API (V1) for the project."),
        (r"fcm_NOT_FOUND", "Google does not know this project: enter the file of a project that exists."),
        (r"fcm_SENDER_ID_MISMATCH", "The apps belong to another Firebase project: enter the file of theirs."),
        (r"fcm_THIRD_PARTY_AUTH_ERROR", "Apple's key in the Firebase project is missing or has expired: upload a new one there."),
        (r"push_database", "The database does not answer."),
    )

    def __init__(
        self, config: FcmConfig, around: Surroundings, guard: Guard | None = None, elsewhere: Callable[[str], str] = lambda url: url
    ) -> None:
        super().__init__(around.db, around.now)
        self._account = read(config.service_account)
        self._client: httpx.Client = client(guard or Guard(), timeout_seconds=DEVICE_SECONDS)
        self._elsewhere = elsewhere
        self._token = ("", 0.0)
        self._lock = threading.Lock()

    @classmethod
    def open(cls, config: FcmConfig, around: Surroundings) -> Self:
        return cls(config, around)

    def call(self, device: Device, message: Outgoing) -> None:
        self._post({"message": {"token": device.address, **self._written(message)}})

    def verify(self) -> None:
        """Google checks a message to nobody and sends it to nobody."""
        super().verify()
        self._token = ("", 0.0)
        self._post({"validate_only": True, "message": {"topic": NOBODY, "notification": {"title": "-"}}})

    def close(self) -> None:
        self._client.close()

    def _written(self, message: Outgoing) -> dict[str, Any]:
        """The tag is the same at every call, on both systems and while the message waits: a repeat takes the place of the first."""
        said, tag, seconds = content(message), tag_of(message), ttl_of(message)
        shown = {"title": said.get("title", ""), "body": said.get("text", ""), **({"image": said["picture"]} if "picture" in said else {})}
        data = {name: said[name] for name in ("url", "button", "icon") if name in said} | {"message_id": message.message_id}
        return {
            "notification": shown,
            "data": data,
            "android": {
                "collapse_key": tag,
                "ttl": f"{seconds}s",
                "priority": "HIGH" if message.urgency == "high" else "NORMAL",
                "notification": {"tag": tag},
            },
            "apns": {
                "headers": {
                    "apns-collapse-id": tag,
                    "apns-expiration": str(int(self._now().timestamp()) + seconds),
                    "apns-priority": "10" if message.urgency == "high" else "5",
                }
            },
        }

    def _post(self, body: Mapping[str, Any]) -> None:
        """A token that Google does not take any more is fetched anew, once."""
        answer = self._asked(body)
        if answer.status == 401 and _code(answer) != "THIRD_PARTY_AUTH_ERROR":
            self._token = ("", 0.0)
            answer = self._asked(body)
        if answer.status != 200:
            raise sort(answer)

    def _asked(self, body: Mapping[str, Any]) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {self._access_token()}", "Content-Type": "application/json; charset=utf-8"}
        try:
            return self._ask(MESSAGES.format(project=self._account.project), headers, json.dumps(body).encode())
        except HttpFailure as failure:
            raise unanswered(failure, "fcm", LATER, in_doubt=True) from None

    def _ask(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        return ask(
            self._client, "POST", self._elsewhere(url), headers=headers, body=body, timeout_seconds=DEVICE_SECONDS, most_bytes=MOST_BYTES
        )

    def _access_token(self) -> str:
        """One for all threads; who comes while it is fetched waits for it."""
        with self._lock:
            token, until = self._token
            if not token or time.monotonic() >= until:
                token, lasts = self._granted()
                self._token = (token, time.monotonic() + max(0.0, lasts - EARLIER_SECONDS))
            return token

    def _granted(self) -> tuple[str, float]:
        """An access token and for how many seconds it is good. No message has left yet, whatever goes wrong."""
        form = urlencode({"grant_type": GRANT, "assertion": self._account.assertion(self._now())}).encode()
        try:
            answer = self._ask(TOKENS, {"Content-Type": "application/x-www-form-urlencoded"}, form)
        except HttpFailure as failure:
            raise unanswered(failure, "fcm", LATER, in_doubt=False) from None
        if answer.status >= 500 or answer.status == 429:
            raise Unreachable(f"fcm_grant_http_{answer.status}", answer.retry_after(LATER))
        said = _object(answer)
        token, lasts = said.get("access_token"), said.get("expires_in")
        if answer.status != 200 or not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,4000}", token):
            raise SenderStopped(f"fcm_grant_http_{answer.status}")
        return token, float(lasts) if isinstance(lasts, int | float) and 0 < lasts < 1e6 else 600.0


def sort(answer: HttpAnswer) -> ProviderFailure:
    """The failure that a refusal of FCM means."""
    code = _code(answer)
    name = f"fcm_{code or f'http_{answer.status}'}"
    if not code:
        return _without_code(answer, name)
    kind = AddressDead if code == "INVALID_ARGUMENT" and _blames_token(answer) else TABLE.get(code, MessageDead)
    return kind(name, answer.retry_after(LATER)) if issubclass(kind, RetryLater) else kind(name)


def _without_code(answer: HttpAnswer, name: str) -> ProviderFailure:
    if answer.status == 429:
        return RetryLater(name, answer.retry_after(LATER))
    if answer.status in (401, 403):
        return SenderStopped(name)
    if answer.status >= 500:
        return Unreachable(name, answer.retry_after(LATER)) if answer.status == 503 else InDoubt(name)
    return MessageDead(name)


def _error(answer: HttpAnswer) -> Mapping[str, Any]:
    error = _object(answer).get("error")
    return error if isinstance(error, dict) else {}


def _details(answer: HttpAnswer) -> list[Mapping[str, Any]]:
    details = _error(answer).get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _code(answer: HttpAnswer) -> str:
    """FCM's own code, else the status of Google's API, as far as we know it."""
    own = [one.get("errorCode") for one in _details(answer) if str(one.get("@type", "")).endswith("google.firebase.fcm.v1.FcmError")]
    said = [*own, _error(answer).get("status"), {"RESOURCE_EXHAUSTED": "QUOTA_EXCEEDED"}.get(str(_error(answer).get("status")))]
    return next((one for one in said if isinstance(one, str) and one in TABLE), "")


def _blames_token(answer: HttpAnswer) -> bool:
    violations = [one.get("fieldViolations") for one in _details(answer)]
    return any(
        isinstance(one, dict) and one.get("field") == "message.token" for many in violations if isinstance(many, list) for one in many
    )


def _object(answer: HttpAnswer) -> Mapping[str, Any]:
    """What was answered; nothing where it is no JSON object."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
