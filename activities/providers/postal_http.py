"""The provider `postal_http`: postcards through a printer's HTTP interface, of the shape of Lob (multipart, Basic) or of Pingen (OAuth, JSON:API, the
PDF uploaded before).

Idempotent: both take a key that makes a repeat harmless, for 24 hours. A card costs money, so everything after the request has left is in doubt
unless the printer says that it refused; what is in doubt for longer is listed as uncertain and never repeated. Nothing is read of delivery
here; `Events` reads what is reported afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr

from activities.http_client import HttpAnswer, HttpFailure, ask, client
from activities.providers.callback import Callback, CallbackRefused, CallbackRequest, CallbackUnreadable, Happening, Kind
from activities.providers.provider import (
    AddressDead,
    Advice,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
    unanswered,
)
from activities.webhooks.address_guard import Guard
from journeys import postal
from journeys.paper import A6, US, Paper

TIMEOUT_SECONDS = 40.0
MOST_BYTES = 256_000
LATER = timedelta(seconds=30)
TOLERANCE_SECONDS = 300
"""Source: Lob "Webhooks": a call whose timestamp is older than five minutes is a replay."""

DEFAULTS: Mapping[str, str] = {"lob": "https://api.lob.com/v1", "pingen": "https://api.pingen.com"}
IDENTITY = "https://identity.pingen.com"
TABLE: Mapping[int, type[ProviderFailure]] = {
    400: MessageDead, 413: MessageDead, 415: MessageDead, 422: MessageDead,
    401: SenderStopped, 402: SenderStopped, 403: SenderStopped, 404: SenderStopped, 405: SenderStopped,
    429: RetryLater,
}  # fmt: skip
"""Status of a refusal -> what it means; every other one leaves the card in doubt (409: the key is being used, or was used for another request).
Source: Lob "Errors", Pingen "Errors"."""
CODES: Mapping[str, type[ProviderFailure]] = {
    "failed_deliverability_strictness": AddressDead,
    "feature_limit_reached": SenderStopped,
    "invalid_api_key": SenderStopped,
    "payment_method_unverified": SenderStopped,
    "unrecognized_endpoint": SenderStopped,
    "rate_limit_exceeded": RetryLater,
}
"""Codes of Lob that say more than their status. Source: Lob "Errors"."""
LOB_EVENTS: Mapping[str, Kind] = {
    "postcard.created": "sent", "postcard.mailed": "sent", "postcard.delivered": "delivered", "postcard.returned_to_sender": "bounced",
    "postcard.failed": "failed", "postcard.rejected": "failed", "postcard.deleted": "failed",
}  # fmt: skip
PINGEN_EVENTS: Mapping[str, Kind] = {
    "webhook_sent": "sent", "webhook_delivered": "delivered", "webhook_undeliverable": "bounced", "webhook_issues": "failed",
}  # fmt: skip
"""What a printer tells -> what it means here; a card that came back means that nobody of that name is reached at that address."""


class PostalHttpConfig(ProviderConfig):
    """An account at a printer."""

    shape: Literal["lob", "pingen"] = Field(
        "pingen",
        title="Interface",
        description="Which printer's interface it is like.",
        json_schema_extra={"destination": True, "words": {"lob": "like Lob", "pingen": "like Pingen"}},
    )
    base_url: str = Field(
        "",
        pattern=r"^(https://[^\s?#@]{3,300})?$",
        title="Address of the interface",
        description="Leave empty for Lob's or Pingen's own; Pingen's test system is https://api-staging.pingen.com.",
        json_schema_extra={"destination": True},
    )
    api_key: SecretStr = Field(min_length=1, max_length=500, title="API key", description="Of Pingen the client secret.")
    client_id: str = Field(
        "",
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        title="Client ID",
        description="Pingen only.",
        json_schema_extra={"destination": True},
    )
    identity_url: str = Field(
        "",
        pattern=r"^(https://[^\s?#@]{3,300})?$",
        title="Address of the token endpoint",
        description="Pingen only; leave empty for its own.",
        json_schema_extra={"destination": True},
    )
    organisation: str = Field("", max_length=100, pattern=r"^[A-Za-z0-9_-]*$", title="Id of the organisation", description="Pingen only.")
    product: str = Field(
        "",
        max_length=60,
        pattern=r"^[a-z0-9_]*$",
        title="Delivery product",
        description="Pingen only, such as cheap or fast; empty: cheap.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        max_length=500,
        title="Secret of the webhook",
        description="Proves that what is reported to us comes from the printer.",
    )


class Events(Callback):
    """What became of cards, as Lob or Pingen tells it."""

    signed_with = "webhook_secret"
    now: ClassVar[Callable[[], float]] = time.time

    def check(self, request: CallbackRequest) -> None:
        """Source: Lob "Webhooks" (HMAC-SHA256 over timestamp, a point and the body), Pingen "Webhooks" (over the body)."""
        key = self.config.webhook_secret.get_secret_value().encode()
        signed, name = request.body, "signature"
        if self.config.shape == "lob":
            stamp, name = request.headers.get("lob-signature-timestamp", ""), "lob-signature"
            if not stamp.isdecimal() or len(stamp) > 16 or abs(_seconds(stamp) - type(self).now()) > TOLERANCE_SECONDS:
                raise CallbackRefused
            signed = stamp.encode() + b"." + request.body
        ours = hmac.new(key, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(ours.encode(), request.headers.get(name, "").strip().lower().encode()):
            raise CallbackRefused

    def read(self, request: CallbackRequest) -> Sequence[Happening]:
        try:
            told = json.loads(request.body)
            found = _of_lob(told) if self.config.shape == "lob" else _of_pingen(told)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CallbackUnreadable from None
        return [found] if found else []


def _seconds(stamp: str) -> float:
    """Lob writes milliseconds."""
    return int(stamp) / 1000 if len(stamp) > 11 else float(stamp)


def _of_lob(told: Any) -> Happening | None:
    name, card = str(told["event_type"]["id"]), told["body"]
    kind = LOB_EVENTS.get(name)
    if kind is None:
        return None
    message_id = str((card.get("metadata") or {}).get("message") or "")
    return Happening(kind, _instant(told.get("date_created")), str(card["id"])[:64], message_id[:64], f"lob_{name.partition('.')[2]}")


def _of_pingen(told: Any) -> Happening | None:
    data = told["data"]
    kind = PINGEN_EVENTS.get(str(data["type"]))
    if kind is None:
        return None
    letter = data["relationships"]["letter"]["data"]["id"]
    at = _instant((data.get("attributes") or {}).get("created_at"))
    return Happening(kind, at, str(letter)[:64], "", f"pingen_{str(data['type']).removeprefix('webhook_')}")


def _instant(said: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


class PostalHttp(ConfiguredProvider):
    """`elsewhere` leads an address to where a test stands."""

    name = "postal_http"
    label = "Postcards (Lob, Pingen)"
    channels = frozenset({"postcard"})
    delivery_check: DeliveryCheck = "idempotent"
    remembers = timedelta(hours=23)
    """Source: Lob and Pingen "Idempotency": keys are kept for 24 hours."""
    Config = PostalHttpConfig
    timeout_seconds = TIMEOUT_SECONDS
    callbacks: ClassVar[Mapping[str, type[Callback]]] = {"events": Events}
    advice: ClassVar[Advice] = (
        (r"postal_unreachable", "The printer does not answer: check the address of its interface, and whether a firewall is in the way."),
        (r"postal_(401|403|invalid_api_key)", "The printer refuses the key: enter it again."),
        (
            r"postal_(402|payment_method_unverified|feature_limit_reached)",
            "The printer wants to be paid first: look at your account there.",
        ),
        (r"postal_(404|405|unrecognized_endpoint)", "There is no such interface or organisation: check both."),
        (r"postal_not_set_up", "Client ID and organisation are missing."),
    )

    def __init__(self, config: PostalHttpConfig, guard: Guard | None = None, elsewhere: Callable[[str], str] = lambda url: url) -> None:
        self._config = config
        self._base = (config.base_url or DEFAULTS[config.shape]).rstrip("/")
        self._elsewhere = elsewhere
        self._client = client(guard or Guard(), timeout_seconds=TIMEOUT_SECONDS)
        self._lock = threading.Lock()
        self._token = ("", 0.0)

    @classmethod
    def open(cls, config: PostalHttpConfig, around: Surroundings) -> Self:
        return cls(config)

    @property
    def paper(self) -> Paper:
        return US if self._is_lob else A6

    @property
    def adds_address(self) -> bool:
        """Lob prints the address itself; Pingen reads it from the PDF."""
        return self._is_lob

    @property
    def separates_sides(self) -> bool:
        """Lob takes a PDF for each side."""
        return self._is_lob

    @property
    def _is_lob(self) -> bool:
        return self._config.shape == "lob"

    def send(self, message: Outgoing) -> Answer:
        if not message.documents:
            raise MessageDead("postal_no_document")
        return self._to_lob(message) if self._is_lob else self._to_pingen(message)

    def verify(self) -> None:
        """The key is good, and the organisation is there."""
        url, headers = f"{self._base}/postcards?limit=1", self._basic()
        if not self._is_lob:
            if not self._config.client_id or not self._config.organisation:
                raise SenderStopped("postal_not_set_up")
            url, headers = f"{self._base}/organisations/{self._config.organisation}", self._bearer()
        answer = self._before("GET", url, headers)
        if not 200 <= answer.status <= 299:
            raise _refused(answer, Unreachable("postal_unreachable", LATER))

    def close(self) -> None:
        self._client.close()

    def _to_lob(self, message: Outgoing) -> Answer:
        front, back = (*message.documents, message.documents[-1])[:2]
        fields = {
            **_lob_address(message.recipient),
            "size": "4x6",
            "use_type": "marketing" if message.parts.get("objection") else "operational",
            "metadata[message]": message.message_id,
            "description": message.message_id,
        }
        body, media_type = _form(fields, {"front": front, "back": back}, message.once_key)
        headers = {**self._basic(), "Content-Type": media_type}
        return _made(self._ordered(f"{self._base}/postcards", headers, body, message.once_key), "id")

    def _to_pingen(self, message: Outgoing) -> Answer:
        bearer = self._bearer()
        place = _json(self._good(self._before("GET", f"{self._base}/file-upload", bearer)))
        try:
            url, signature = (str(place["data"]["attributes"][name]) for name in ("url", "url_signature"))
        except (KeyError, TypeError):
            raise Unreachable("postal_unreadable", LATER) from None
        self._good(self._before("PUT", url, {"Content-Type": "application/pdf"}, message.documents[0]))
        attributes = {
            "file_original_name": f"{message.message_id}.pdf", "file_url": url, "file_url_signature": signature, "address_position": "right",
            "auto_send": True, "delivery_product": self._config.product or "cheap", "print_mode": "duplex", "print_spectrum": "color",
        }  # fmt: skip
        body = json.dumps({"data": {"type": "letters", "attributes": attributes}}).encode()
        headers = {**bearer, "Content-Type": "application/vnd.api+json"}
        letters = f"{self._base}/organisations/{quote(self._config.organisation, safe='')}/letters"
        return _made(self._ordered(letters, headers, body, message.once_key), "data")

    def _ordered(self, url: str, headers: Mapping[str, str], body: bytes, once_key: str) -> HttpAnswer:
        """The request that costs money: from here on only a refusal says that no card is printed."""
        key = hashlib.sha256(once_key.encode()).hexdigest()
        try:
            answer = self._asked("POST", url, {**headers, "Idempotency-Key": key}, body)
        except HttpFailure as failure:
            raise unanswered(failure, "postal", LATER, in_doubt=True) from None
        if not 200 <= answer.status <= 299:
            raise _refused(answer, InDoubt(f"postal_{answer.status}"))
        return answer

    def _before(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> HttpAnswer:
        """A request after which nothing is printed."""
        try:
            return self._asked(method, url, headers, body)
        except HttpFailure as failure:
            raise unanswered(failure, "postal", LATER, in_doubt=False) from None

    def _good(self, answer: HttpAnswer) -> HttpAnswer:
        if not 200 <= answer.status <= 299:
            raise _refused(answer, Unreachable("postal_unreachable", LATER))
        return answer

    def _asked(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> HttpAnswer:
        return ask(
            self._client,
            method,
            self._elsewhere(url),
            headers=headers,
            body=body,
            timeout_seconds=TIMEOUT_SECONDS / 4,
            most_bytes=MOST_BYTES,
        )

    def _basic(self) -> dict[str, str]:
        key = self._config.api_key.get_secret_value()
        return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}

    def _bearer(self) -> dict[str, str]:
        """The token of Pingen, asked for anew a minute before it ends."""
        with self._lock:
            token, until = self._token
            if time.monotonic() > until:
                token, until = self._logged_in()
                self._token = (token, until)
        return {"Authorization": f"Bearer {token}"}

    def _logged_in(self) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials", "client_id": self._config.client_id,
            "client_secret": self._config.api_key.get_secret_value(), "scope": "letter organisation_read",
        }  # fmt: skip
        url = f"{(self._config.identity_url or IDENTITY).rstrip('/')}/auth/access-tokens"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._before("POST", url, headers, urlencode(form).encode())
        if answer.status in (400, 401, 403):
            raise SenderStopped("postal_401")
        found = _json(self._good(answer))
        try:
            return str(found["access_token"]), time.monotonic() + max(float(found.get("expires_in") or 0) - 60, 0.0)
        except (KeyError, TypeError, ValueError):
            raise Unreachable("postal_unreadable", LATER) from None


def _lob_address(stored: str) -> dict[str, str]:
    """In Lob's names and within its lengths; what is no stored address stands on the first line."""
    found = postal.parse(stored)
    if not found.text:
        return {"to[name]": stored[:40], "to[address_line1]": stored[:64], "to[address_country]": "US"}
    named = {
        "name": found.name[:40], "address_line1": found.line1, "address_line2": found.line2, "address_city": found.city,
        "address_state": found.region, "address_zip": found.postal_code, "address_country": found.country,
    }  # fmt: skip
    return {f"to[{name}]": value for name, value in named.items() if value}


def _form(fields: Mapping[str, str], files: Mapping[str, bytes], once_key: str) -> tuple[bytes, str]:
    """multipart/form-data (RFC 7578), the same bytes for the same card."""
    boundary = hashlib.sha256(b"form" + once_key.encode()).hexdigest()
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    for name, content in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
        )
        parts.append(head.encode() + content + b"\r\n")
    return b"".join((*parts, f"--{boundary}--\r\n".encode())), f"multipart/form-data; boundary={boundary}"


def _made(answer: HttpAnswer, place: str) -> Answer:
    try:
        found = _json(answer)[place]
        number = found["id"] if isinstance(found, Mapping) else found
        return Answer(provider_id=str(number)[:64], raw={"code": answer.status})
    except (KeyError, TypeError, Unreachable):
        raise InDoubt("postal_unreadable") from None


def _json(answer: HttpAnswer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Unreachable("postal_unreadable", LATER) from None


def _refused(answer: HttpAnswer, otherwise: ProviderFailure) -> ProviderFailure:
    """The failure that a refusal means. Of its words only a code that stands in our table is used."""
    code = _code(answer)
    kind = CODES.get(code) or TABLE.get(answer.status)
    if kind is None:
        return otherwise
    name = f"postal_{code if code in CODES else answer.status}"
    return RetryLater(name, answer.retry_after(LATER)) if kind is RetryLater else kind(name)


def _code(answer: HttpAnswer) -> str:
    try:
        return str(json.loads(answer.body)["error"]["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
