"""Performs notices to the team, and holds what all calls have in common that are no messages to contacts. Reaches nobody by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from activities.providers.provider import (
    AddressDead,
    Answer,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Unreachable,
)
from activities.rendering.render import one_line
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


GetsChat = Callable[[], tuple[str, Provider]]
"""Who carries the team chat now: (account, provider)."""
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
    """One notice to several colleagues, by e-mail, in the team chat and by Slack's incoming webhook. Whoever got it does not get it again because
    another did not."""

    messaging: MessageSettings
    provider: Provider
    post_to_slack: PostToSlack
    chat: GetsChat
    remembers: timedelta = timedelta(0)
    """One notice is several calls, and Slack knows no keys."""
    outlets: Mapping[str, str] = field(default_factory=lambda: {"sent": "sent", "skipped": "skipped", "failed": "failed"})

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def delivery_check(self) -> DeliveryCheck:
        """One notice is several calls, of which no provider can be asked together: what may not be repeated stays uncertain."""
        both = {self.provider.delivery_check, self.chat()[1].delivery_check}
        return "idempotent" if both == {"idempotent"} else "blind"

    @property
    def timeout_seconds(self) -> float:
        return self.provider.timeout_seconds + self.chat()[1].timeout_seconds

    def prepare(self, session: Session, job: Job) -> Draft:
        said = job.call.input
        named = [str(one) for one in said.get("to", ())]
        to = email.addresses(session, named, job.row.contact_id)
        gone = email.meant_for(session, named, job.row.contact_id) if to else None
        slack = secret_of(session, self.messaging, said.get("slack_webhook"))
        by, channel = said.get("by", "email"), said.get("chat_channel")
        chat = [*([str(channel)] if channel else []), *(one for one in to if by != "email" and one not in named)]
        if not to and slack is None and not chat:
            raise CannotPrepare("no_recipient")
        mails = [one for one in to if by != "chat" or one in named]
        sender = settings.load(session, settings.Sender)
        return Draft(
            {"to": mails, "slack": slack, "chat": chat, "sender": sender.email or self.messaging.mail_from, "instead_of": gone},
            {"subject": str(said.get("subject", ""))[:200]},
        )

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        """Each account hears how its own calls went; the incoming webhook has none. One that takes nothing is not called again for the others: they
        would wait for it, one after the other."""
        told, failures = 0, list[ProviderFailure]()
        heard = dict[str, ProviderFailure | None]()
        for account, call in self._calls(job, draft):
            known = heard.get(account)
            if account and isinstance(known, SenderStopped | Unreachable):
                failures.append(known)
                continue
            try:
                call()
                told += 1
                heard.setdefault(account, None)
            except ProviderFailure as failure:
                failure.account = account
                failures.append(failure)
                heard[account] = failure
        if told == 0:
            raise _worst(failures)
        gone = {"instead_of": draft.payload["instead_of"]} if draft.payload.get("instead_of") else {}
        return Answer(
            kind=failures[0].code if failures else "",
            raw={"data": {"told": told, "not_told": len(failures), **gone}},
            accounts={account: failure for account, failure in heard.items() if account},
        )

    def _calls(self, job: Job, draft: Draft) -> Iterator[tuple[str, Callable[[], object]]]:
        """(account, call) for everybody who is told. Of a member whom the chat does not know it is told by e-mail."""
        said, payload, message_id = job.call.input, draft.payload, message_id_of(job.once_key)
        subject, text = said.get("subject", ""), said["text"]
        mail = partial(email.by_email, self.provider, subject=subject, text=text, sender=payload["sender"], message_id=message_id)
        for number, to in enumerate(payload["to"]):
            yield self.account, partial(mail, f"{job.once_key}:{number}", to=to)
        account, chat = self.chat() if payload.get("chat") else ("", self.provider)
        for number, to in enumerate(payload.get("chat", ())):
            key = f"{job.once_key}:chat:{number}"
            heading = one_line(subject)[:200]
            message = Outgoing(key, message_id, "chat", to, subject=heading, text=text[: email.MAX_TEXT])
            yield account, partial(_in_chat, chat, message, partial(mail, f"{key}:mail", to=to) if "@" in to else None)
        if payload["slack"]:
            yield "", partial(self.post_to_slack, payload["slack"], job.once_key, text, job.as_of)


def _in_chat(chat: Provider, message: Outgoing, instead: Callable[[], object] | None) -> object:
    """Raises: ProviderFailure."""
    try:
        return chat.send(message)
    except AddressDead:
        if instead is None:
            raise
        return instead()


def _worst(failures: Sequence[ProviderFailure]) -> ProviderFailure:
    """What nobody got: in doubt if somebody may have, else worth another try if one of the calls is."""
    for sort in (InDoubt, RetryLater, SenderStopped):
        for failure in failures:
            if isinstance(failure, sort):
                return failure
    dead = MessageDead(failures[0].code if failures else "no_recipient")
    dead.account = failures[0].account if failures else ""
    return dead
