"""Performs `call_webhook`: one signed HTTP request to another system."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck
from activities.redaction import redacted
from activities.sending.handler import CannotPrepare, Draft, Job
from activities.sending.messages import MessageSettings
from activities.team.handler import ExternalCall, secret_of
from activities.webhooks import client
from activities.webhooks.address_guard import Guard
from journeys.nodes.call_webhook import leads_elsewhere

_PRINTABLE = re.compile(r"[\x20-\x7e]+")
"""What a header can hold; a line break in it would begin another header."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    request: client.Request
    secrets: tuple[str, ...] = field(repr=False)
    """Values that the answer may echo and that nothing keeps."""


@dataclass(slots=True)
class WebhookHandler(ExternalCall):
    """One HTTP request; repeated with the same id after a crash, so that the receiver can tell."""

    messaging: MessageSettings
    guard: Guard
    name: str = "webhook"
    delivery_check: DeliveryCheck = "idempotent"
    remembers: timedelta = timedelta(0)
    """How long a receiver knows an id is its own matter."""
    timeout_seconds: float = 10.0
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "ok", "skipped": "failed", "failed": "failed"})

    def prepare(self, session: Session, job: Job) -> Draft:
        said = job.call.input
        if leads_elsewhere(said["url"]):
            raise CannotPrepare("dots_in_address")
        body = b"" if said["method"] in ("GET", "DELETE") and not said["body"] else json.dumps(said["body"]).encode()
        signing = secret_of(session, self.messaging, said.get("secret_name"))
        headers, told = self._headers(session, said["headers"])
        request = client.Request(job.once_key, said["url"], said["method"], headers, body, signing, job.row.hops + 1)
        return Draft(_Prepared(request, (*told, signing) if signing else told))

    def _headers(self, session: Session, written: Mapping[str, str | Mapping[str, str]]) -> tuple[dict[str, str], tuple[str, ...]]:
        """(headers as they are sent, values of the secrets in them). Raises: CannotPrepare, if a secret is gone or no header can hold it."""
        headers, told = dict[str, str](), list[str]()
        for name, value in written.items():
            if isinstance(value, str):
                headers[name] = value
                continue
            secret = secret_of(session, self.messaging, value["secret"]) or ""
            if not _PRINTABLE.fullmatch(secret):
                raise CannotPrepare("secret_no_header")
            headers[name] = value["prefix"] + secret
            told.append(secret)
        return headers, tuple(told)

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        prepared: _Prepared = draft.payload
        reply = client.call(prepared.request, self.guard, job.as_of, timeout_seconds=self.timeout_seconds)
        answer = reply.answer()
        kept = redacted(dict(reply.data), prepared.secrets)
        return Answer(
            provider_id=answer.provider_id,
            kind=answer.kind,
            raw={"outlet": "ok", "data": {"status": reply.status, "answer": kept}},
        )
