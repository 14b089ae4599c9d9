"""Performs `call_webhook`: one signed HTTP request to another system."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from activities import webhook
from activities.addresses import Guard
from activities.messages import House
from activities.outward import Outward, secret_of
from activities.performer import Draft, Job
from activities.providers.provider import Answer, Doubt


@dataclass(slots=True)
class WebhookPerformer(Outward):
    """One HTTP request; repeated with the same id after a crash, so that the receiver can tell."""

    house: House
    guard: Guard
    name: str = "webhook"
    doubt: Doubt = "idempotent"
    timeout_seconds: float = 10.0
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "ok", "skipped": "failed", "failed": "failed"})

    def prepare(self, session: Session, job: Job) -> Draft:
        said = job.call.input
        body = b"" if said["method"] in ("GET", "DELETE") and not said["body"] else json.dumps(said["body"]).encode()
        secret = secret_of(session, self.house, said.get("secret_name"))
        return Draft(webhook.Request(job.once_key, said["url"], said["method"], said["headers"], body, secret))

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        reply = webhook.call(draft.payload, self.guard, job.as_of, timeout_seconds=self.timeout_seconds)
        answer = reply.answer()
        return Answer(
            provider_id=answer.provider_id,
            kind=answer.kind,
            raw={"outlet": "ok", "data": {"status": reply.status, "answer": dict(reply.data)}},
        )
