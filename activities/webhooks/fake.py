"""Webhook and Slack of a workspace that must not reach anybody: they answer *ok* and call nothing. Imports no network code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck
from activities.sending.gate import Pass, Verdict
from activities.sending.handler import AddressReason, Draft, Job, Person


def pretend_slack(url: str, once_key: str, text: str, now: datetime) -> Answer:
    """Posts nothing and says so."""
    return Answer(kind="pretended")


def pretend_post(url: str, once_key: str, body: bytes, secret: str | None, now: datetime) -> Answer:
    """Calls no webhook of the team and says so."""
    return Answer(kind="pretended")


@dataclass(slots=True)
class PretendWebhook:
    """Takes every call and says so."""

    name: str = "pretend"
    delivery_check: DeliveryCheck = "idempotent"
    remembers: timedelta = timedelta.max
    timeout_seconds: float = 5.0
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "ok", "skipped": "failed", "failed": "failed"})

    def prepare(self, session: Session, job: Job) -> Draft:
        return Draft(None)

    def ask(self, session: Session, contact: Person | None, job: Job, draft: Draft) -> Verdict:
        return Pass("")

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        return {}

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        return Answer(kind="pretended", raw={"outlet": "ok", "data": {"pretended": True}})

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """Nobody is reached, so no address is dead."""
