"""What comes of a mail that came in, in one transaction: the address that bounced or complained, the reply on the timeline, the unsubscription.

A mail proves which message it is about by the signed token in the address that it was sent to, or by a Message-ID of ours; only that changes what
is known of an address. A reply that proves nothing is taken for one from its sender, who may be anybody: it can stop messages and never start them.
Nothing is answered, so that no loop begins here, and what programs write is no reply: an automatic answer to a message of ours is an event of its own,
once for each message. The same mail changes nothing again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from typing import Literal

from sqlalchemy import func, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities import replies, reports
from activities.happenings import ANY, LEFT, Recorded, Route, Streak
from activities.inbound.mail import InboundMail, Kind, read
from activities.providers.callback import Happening, Reply
from activities.sending.ledger import message_id_of
from activities.tracking import Tracking
from crm.consent import consent
from crm.consent.words import intent
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from journeys.channels import ADDRESSED, DEFAULT
from journeys.errors import PfadwerkError, where
from models import Body, Event, Message
from models import InboundMail as Row
from storage.json_values import clean_text
from storage.locks import lock_contact, person_of
from storage.sql import upsert
from workspace import settings

log = logging.getLogger(__name__)

Via = Literal["mailbox", "command", "api"]
Also = Callable[[Session], None]
Outcome = Literal["taken", "kept", "known", "unknown", "ignored", "failed"]
"""`kept`: a report about a message that is not known yet; `known`: it changes nothing any more; `unknown`: no message or person of ours; `ignored`:
of a kind that changes nothing; `failed`: it broke off in a way that nobody foresaw."""

MOST_AN_HOUR = 20
"""Replies of one person that set something off; beyond, a program is writing."""
ACCOUNT = "mail"
"""Who passed the word on, where no provider did."""


class TooManyWait(PfadwerkError):
    """The mail must come again: too many reports wait for their messages."""

    code = "too_many_reports_wait"
    status = 503


@dataclass(frozen=True, slots=True)
class Taken:
    """What a mail was, and what came of it."""

    kind: Kind
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Inbound:
    """Whoever takes mails in. `mail_domains`: provider -> pattern of the domain of its Message-IDs."""

    engine: Engine
    route: Route
    tracking: Tracking
    streak: Streak
    mail_from: str = ""
    mail_domains: Mapping[str, str] = field(default_factory=dict)

    def take(self, raw: bytes, via: Via, envelope_to: str = "", also: Also = lambda session: None) -> tuple[Taken, Wakeups]:
        """One mail, in one transaction, of which `also` is a part. Raises: TooManyWait; database errors; whatever `also` raises. Either way nothing
        has happened."""
        mail = read(raw, envelope_to)
        try:
            return self._take(mail, via, also)
        except (PfadwerkError, LookupError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, TooManyWait):
                raise
            log.error("a mail that came in could not be dealt with: %s", where(error))
            with self.engine.db.write() as session:
                self._note(session, mail, via, "failed")
                also(session)
            return Taken(mail.kind, "failed"), Wakeups()

    def _take(self, mail: InboundMail, via: Via, also: Also) -> tuple[Taken, Wakeups]:
        with self.engine.db.write() as session:
            also(session)
            if not self._note(session, mail, via, ""):
                return Taken(mail.kind, "known"), Wakeups()
            recorded, wakeups = self._record(session, mail)
            if recorded == "too_early":
                raise TooManyWait("Too many reports are waiting for their messages; deliver this mail again later.")
            session.execute(update(Row).where(col(Row.digest) == mail.digest).values(outcome=recorded))
            return Taken(mail.kind, recorded), wakeups

    def _note(self, session: Session, mail: InboundMail, via: Via, outcome: str) -> bool:
        """Whether it was not there before."""
        values = {"digest": mail.digest, "kind": mail.kind, "outcome": outcome, "via": via, "received_at": self.engine.clock.now()}
        statement = upsert(session, Row).values(values).on_conflict_do_nothing(index_elements=["digest"])
        return session.execute(statement.returning(col(Row.digest))).first() is not None

    def _record(self, session: Session, mail: InboundMail) -> tuple[Outcome | Literal["too_early"], Wakeups]:
        if mail.kind in ("delayed", "other"):
            return "ignored", Wakeups()
        message_id = self._about(session, mail)
        match mail.kind:
            case "bounce" | "complaint":
                return self._report(session, mail, message_id)
            case "unsubscribe":
                return self._unsubscribe(session, mail, message_id)
            case "automatic":
                return self._automatic(session, mail, message_id)
        return self._reply(session, mail, message_id)

    def _about(self, session: Session, mail: InboundMail) -> str:
        """The message of ours that it proves to be about; empty: none. One that a token names need not be known yet."""
        for address in mail.addresses:
            if (named := self.tracking.read_bounce(address)) is not None:
                return named
        return next((found for local, domain in mail.ids if (found := self._of_id(session, local, domain))), "")

    def _of_id(self, session: Session, local: str, domain: str) -> str:
        """The message with this Message-ID: we name a mail after its once key, some providers by their own name for it."""
        ours = session.get(Message, message_id_of(local.replace(".", ":")))
        if ours is not None:
            return ours.id
        for provider, pattern in self.mail_domains.items():
            if re.fullmatch(pattern, domain.lower()):
                named = (col(Message.provider) == provider, col(Message.provider_id) == local[:200])
                return session.scalar(select(Message.id).where(*named).limit(1)) or ""
        return ""

    def _report(self, session: Session, mail: InboundMail, message_id: str) -> tuple[Recorded, Wakeups]:
        if not message_id:
            return "unknown", Wakeups()
        kind = "complained" if mail.kind == "complaint" else mail.fate or "soft_bounced"
        happening = Happening(kind, None, message_id=message_id, code=mail.code)
        return reports.take_in(self.engine, self.route, session, ANY, happening, self.streak)

    def _unsubscribe(self, session: Session, mail: InboundMail, message_id: str) -> tuple[Recorded | Outcome, Wakeups]:
        """As one click does by POST: the purpose that the message was sent under. Where nobody knows the message any more, it is a STOP of the
        sender. Source: RFC 2369, RFC 8058."""
        message = session.get(Message, message_id) if message_id else None
        if message is None:
            return self._reply(session, mail, "")
        if message.test:
            return "unknown", Wakeups()
        contact = lock_contact(session, message.contact_id)
        if contact.erased_at is not None:
            return "known", Wakeups()
        now = self.engine.clock.now()
        body = session.get(Body, message.body_id) if message.body_id else None
        event = consent.record_consent(
            session,
            contact,
            message.channel,
            message.purpose or "marketing",
            "withdrawn",
            now,
            evidence=consent.Evidence.DATED,
            source="mailto",
            proof={"message_id": message.id},
            mailbox=(body.recipient if body else None) or None,
        )
        return "taken", self.route(session, [event] if event else [], now)

    def _automatic(self, session: Session, mail: InboundMail, message_id: str) -> tuple[Recorded | Outcome, Wakeups]:
        """Only where it proves which message it answers: lists and newsletters, which are programs' mails, too, answer none."""
        if not message_id or self._is_ours(session, mail.sender):
            return "ignored", Wakeups()
        return replies.take_automatic(self.engine, self.route, session, message_id, mail.text or mail.subject)

    def _reply(self, session: Session, mail: InboundMail, message_id: str) -> tuple[Recorded | Outcome, Wakeups]:
        message = session.get(Message, message_id) if message_id else None
        if message is None and self._is_ours(session, mail.sender):
            return "ignored", Wakeups()
        wish = intent(mail.text.split("\n", 1)[0]) or ("" if mail.is_answer else intent(mail.subject))
        channel = message.channel if message is not None and message.channel in ADDRESSED else DEFAULT
        text = mail.text if mail.text or not mail.subject else mail.subject
        named = message.id if message is not None and message.status in (*LEFT, "claimed", "bounced", "failed") else ""
        is_flood = self._are_too_many(session, message, mail.sender)
        if is_flood and not wish:
            return "ignored", Wakeups()
        account = message.account if message is not None and message.account else ACCOUNT
        is_proven = bool(named) and replies.went_to(session, message) is not None  # else the address is what the sender says
        reply = Reply(channel, mail.sender, clean_text(text), mail.digest, wish, named, is_proven, sets_off=not is_flood)
        return replies.take_in(self.engine, self.route, session, account, reply)

    def _is_ours(self, session: Session, sender: str) -> bool:
        """Whether it is from an address that we send from: a copy of our own mail, or a loop."""
        known = {settings.load(session, settings.Sender).email, parseaddr(self.mail_from)[1]}
        known |= {one.email for one in settings.load(session, settings.Senders).senders}
        return sender.lower() in {address.lower() for address in known if address}

    def _are_too_many(self, session: Session, message: Message | None, sender: str) -> bool:
        people = [person_of(session, message.contact_id)] if message is not None else replies.people_at(session, DEFAULT, sender)
        since = self.engine.clock.now() - timedelta(hours=1)
        theirs = (col(Event.contact_id).in_(people), col(Event.name) == replies.EVENT, col(Event.occurred_at) > since)
        few = select(Event.id).where(*theirs).limit(MOST_AN_HOUR).subquery()
        return bool(people) and session.scalar(select(func.count()).select_from(few)) == MOST_AN_HOUR
