"""Performs notices to the team, and holds what all calls have in common that are no messages to contacts. Reaches nobody by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck, InDoubt, MessageDead, Provider, ProviderFailure, RetryLater, SenderStopped
from activities.sending.gate import Pass, Refuse, Verdict
from activities.sending.handler import AddressReason, CannotPrepare, Carried, Draft, Job, Person
from activities.sending.ledger import message_id_of
from activities.sending.messages import MessageSettings
from activities.team import email
from journeys.errors import NotFound
from workspace import secrets, settings


def secret_of(session: Session, messaging: MessageSettings, name: object) -> str | None:
    if not name:
        return None
    try:
        return secrets.reveal(session, messaging.address_keys, str(name))
    except NotFound:
        raise CannotPrepare("no_secret") from None


PostToSlack = Callable[[str, str, str, datetime], Answer]
"""(webhook address, once key, text, now) -> answer"""


class ExternalCall:
    """What both have in common: no consent is asked, but an erased contact is spoken of no more."""

    def ask(self, session: Session, contact: Person | None, job: Job, draft: Draft) -> Verdict:
        gone = contact is None or contact.erased_at is not None or contact.merged_into is not None
        return Refuse("no_contact") if gone else Pass("")

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        return {}

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """There is no address of a contact here."""

    def lookup(self, once_key: str) -> Answer | None:
        return None


@dataclass(slots=True)
class TeamHandler(Carried, ExternalCall):
    """One notice to several colleagues, by e-mail and Slack. Whoever got it does not get it again because another did not."""

    messaging: MessageSettings
    provider: Provider
    post_to_slack: PostToSlack
    remembers: timedelta = timedelta(0)
    """One notice is several calls, and Slack knows no keys."""
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "sent", "skipped": "skipped", "failed": "failed"})

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def delivery_check(self) -> DeliveryCheck:
        """One notice is several calls, of which no provider can be asked together: what may not be repeated stays uncertain."""
        return "idempotent" if self.provider.delivery_check == "idempotent" else "blind"

    @property
    def timeout_seconds(self) -> float:
        return self.provider.timeout_seconds

    def prepare(self, session: Session, job: Job) -> Draft:
        said = job.call.input
        named = [str(one) for one in said.get("to", ())]
        to = email.addresses(session, named, job.row.contact_id)
        gone = email.meant_for(session, named, job.row.contact_id) if to else None
        slack = secret_of(session, self.messaging, said.get("slack_webhook"))
        if not to and slack is None:
            raise CannotPrepare("no_recipient")
        sender = settings.load(session, settings.Sender)
        return Draft(
            {"to": to, "slack": slack, "sender": sender.email or self.messaging.mail_from, "instead_of": gone},
            {"subject": str(said.get("subject", ""))[:200]},
        )

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        said, told, failures = job.call.input, 0, list[ProviderFailure]()
        message_id = message_id_of(job.once_key)
        for number, to in enumerate(draft.payload["to"]):
            try:
                email.by_email(
                    self.provider,
                    f"{job.once_key}:{number}",
                    message_id,
                    draft.payload["sender"],
                    to,
                    said.get("subject", ""),
                    said["text"],
                )
                told += 1
            except ProviderFailure as failure:
                failures.append(failure)
        if draft.payload["slack"]:
            try:
                self.post_to_slack(draft.payload["slack"], job.once_key, said["text"], job.as_of)
                told += 1
            except ProviderFailure as failure:
                failures.append(failure)
        if told == 0:
            raise _worst(failures)
        gone = {"instead_of": draft.payload["instead_of"]} if draft.payload.get("instead_of") else {}
        return Answer(kind=failures[0].code if failures else "", raw={"data": {"told": told, "not_told": len(failures), **gone}})


def _worst(failures: Sequence[ProviderFailure]) -> ProviderFailure:
    """What nobody got: in doubt if somebody may have, else worth another try if one of the calls is."""
    for sort in (InDoubt, RetryLater, SenderStopped):
        for failure in failures:
            if isinstance(failure, sort):
                return failure
    return MessageDead(failures[0].code if failures else "no_recipient")
