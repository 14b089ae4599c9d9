"""Webhooks that we call: one signed HTTP request to somebody else's server, and what its answer means.

Signed as Standard Webhooks says (headers webhook-id, webhook-timestamp, webhook-signature); the id is the same for every attempt, so a
receiver can tell repeats. Goes to public addresses only (`addresses`), follows no redirect, reads a limited answer. Retries
are the caller's part. Source: https://www.standardwebhooks.com.
"""

from __future__ import annotations

import hmac
import json
import re
import ssl
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from activities.http_client import AGENT, Code, HttpAnswer, HttpFailure, exchange
from activities.providers.provider import Answer, MessageDead, RetryLater
from activities.webhooks.address_guard import Guard
from journeys.errors import TooLarge
from journeys.nodes.call_webhook import OWN_HEADERS
from storage.json_values import clean_answer
from storage.origin import HOPS_HEADER

MAX_ANSWER_BYTES = 64_000
MAX_REQUEST_BYTES = 256_000
TOLERANCE = timedelta(minutes=5)
"""How old a signed request may be for `verify`."""
PAUSE = timedelta(seconds=30)
"""Before the next try, where the answer names none."""
LATER = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `id` names it over all attempts; `secret` signs it (`whsec_` and base64, or any text); None leaves it unsigned.

    `headers` may hold secrets, so no repr tells them; those that are ours (`OWN_HEADERS`) are left out.
    """

    id: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    secret: str | None = field(default=None, repr=False)
    hops: int = 0
    """How often what led to it has been around (`storage.origin`); 0 is not said."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it. `code` is short and ours (`http_503`, `address_refused`, `timeout`); `data` the answer if it was a JSON object."""

    outcome: Literal["ok", "failed", "retry"]
    code: str
    status: int = 0
    after: timedelta = timedelta(seconds=30)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def answer(self) -> Answer:
        """As a provider would say it.

        Raises:
            RetryLater, MessageDead: the outcome was not ok.
        """
        if self.outcome == "ok":
            return Answer(raw={"code": self.status})
        raise RetryLater(self.code, self.after) if self.outcome == "retry" else MessageDead(self.code)


LOST: Mapping[Code, Literal["failed", "retry"]] = {
    "bad_address": "failed",
    "address_refused": "failed",
    "unknown_host": "retry",
    "certificate": "failed",
    "bad_request": "failed",
    "timeout": "retry",
    "connection_lost": "retry",
}
"""What it means that there is no answer."""


def call(request: Request, guard: Guard, now: datetime, *, timeout_seconds: float = 10.0, context: ssl.SSLContext | None = None) -> Reply:
    """Makes the call once. Never raises for what the other side does; `timeout_seconds` bounds the whole exchange.

    A reply `retry` may mean that the call arrived: receivers tell repeats by the id.
    """
    if len(request.body) > MAX_REQUEST_BYTES:
        return Reply("failed", "too_large")
    try:
        answer = exchange(
            guard,
            request.method,
            request.url,
            headers=_headers(request, now),
            body=request.body,
            timeout_seconds=timeout_seconds,
            most_bytes=MAX_ANSWER_BYTES,
            context=context,
        )
    except HttpFailure as failure:
        return Reply(LOST[failure.code], failure.code)
    except ValueError:
        return Reply("failed", "bad_request")
    return _sorted(answer)


def _sorted(answer: HttpAnswer) -> Reply:
    status, code = answer.status, f"http_{answer.status}"
    if 200 <= status <= 299:
        return Reply("ok", code, status, data=_json(answer))
    if status in LATER:
        return Reply("retry", code, status, answer.retry_after(PAUSE))
    return Reply("failed", "redirect" if 300 <= status <= 399 else code, status)


def _json(answer: HttpAnswer) -> Mapping[str, Any]:
    """The answer, as it can be stored, if it is a JSON object read in full; empty otherwise."""
    if "json" not in answer.headers.get("Content-Type", "") or not answer.is_whole:
        return {}
    try:
        data = json.loads(answer.body)
        return clean_answer(data, MAX_ANSWER_BYTES) if isinstance(data, dict) else {}
    except (ValueError, RecursionError, TooLarge):
        return {}


def _headers(request: Request, now: datetime) -> dict[str, str]:
    moment = str(int(now.timestamp()))
    if not all(_TOKEN.fullmatch(name) for name in request.headers):
        raise ValueError("header name")
    given = {name: value for name, value in request.headers.items() if name.lower() not in OWN_HEADERS}
    own = {"User-Agent": AGENT, "webhook-id": request.id, "webhook-timestamp": moment, "Idempotency-Key": request.id}
    if request.hops:
        own[HOPS_HEADER] = str(request.hops)
    if request.body:
        own["Content-Type"] = "application/json"
    if request.secret is not None:
        own["webhook-signature"] = signature(request.secret, request.id, moment, request.body)
    lower = {name.lower() for name in given}
    return {**{name: value for name, value in own.items() if name.lower() not in lower}, **given}


def signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    return "v1," + b64encode(hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, "sha256")).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a request was signed with `secret` within the last five minutes; for receivers. `headers` have lower-case names."""
    moment = headers.get("webhook-timestamp", "")
    if not moment.isascii() or not moment.isdigit() or abs(now.timestamp() - int(moment[:15])) > TOLERANCE.total_seconds():
        return False
    expected = signature(secret, headers.get("webhook-id", ""), moment, body)
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in headers.get("webhook-signature", "").split(" "))


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return b64decode(secret.removeprefix("whsec_"), validate=True)
        except NotBase64:
            pass  # a text that only looks like one
    return secret.encode()
