"""Sends the e-mails that members wrote to one contact (`activities.sending.personal`): through the gate and the ledger, once each.

They belong to no run. The claim is committed before the call as for every message, so a process that dies leaves a claim; when it is over the provider says
what became of it, takes the same key again, or the mail is uncertain and does not leave a second time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.looking import look_until
from activities.providers.provider import AddressDead, Answer, InDoubt, MessageDead, OptedOut, Outgoing, RetryLater
from activities.sending import gate, ledger
from activities.sending.attempt import attempt
from activities.sending.breakers import Stopped, Turn
from activities.sending.effect import FATES, OPTED_OUT, Effects
from activities.sending.gate import Hold, Pass, Refuse
from activities.sending.handler import named
from activities.sending.identity import sender_of
from activities.sending.ledger import messages
from activities.sending.messages import MADE_UP, REPLY_TO, MessageHandler
from activities.sending.personal import once_key_of, wanted
from crm.consent import suppression
from engine.runs.delivery import is_heard
from journeys.channels import DEFAULT
from journeys.errors import where
from models import DUE_PERSONAL_MAIL, Body, PersonalMail
from storage.events import append_event
from storage.locks import lock_contact
from storage.sql import on

log = logging.getLogger(__name__)

PAGE = 20
LOOK_SECONDS = 2.0
AFTER_AN_ERROR = timedelta(minutes=5)
"""When a mail comes back that could not be dealt with; the others do not wait for it."""


async def run(effects: Effects, stop: asyncio.Event) -> None:
    """As `look_until`."""
    await look_until(stop, partial(asyncio.to_thread, send_due, effects), LOOK_SECONDS, "sending personal e-mails")


def send_due(effects: Effects) -> None:
    """Sends what is due, one after the other. Safe in any number of processes: the claim decides."""
    now = effects.engine.clock.now()
    with effects.engine.db.read() as session:
        rows = select(PersonalMail.id).where(DUE_PERSONAL_MAIL, col(PersonalMail.next_at) <= now).order_by(col(PersonalMail.next_at))
        due = session.scalars(rows.limit(PAGE)).all()
    performer = effects.performers.get(DEFAULT)
    for mail_id in due:
        if isinstance(performer, MessageHandler):
            _or_later(effects, performer, mail_id)


def _or_later(effects: Effects, performer: MessageHandler, mail_id: str) -> None:
    try:
        _in_turn(effects, performer, mail_id)
    except Exception as error:  # noqa: BLE001 - one mail does not keep the others
        log.error("the personal e-mail %s is not sent now and is tried again: %s", mail_id, where(error))
        _put_off(effects, mail_id, AFTER_AN_ERROR)


def _in_turn(effects: Effects, performer: MessageHandler, mail_id: str) -> None:
    with effects.engine.db.read() as session:
        message = _message(session, mail_id)
        body = session.get(Body, message.body_id) if message is not None and message.body_id else None
    if message is None or body is None:
        _drop(effects, mail_id)
        return
    sender = sender_of(DEFAULT, body.sender)
    through, turn = effects.turn(performer, DEFAULT, message.once_key, marketing=message.message_class == "marketing", sender=sender)
    if isinstance(turn, Stopped):
        _put_off(effects, mail_id, turn.after)
        return
    try:
        assert isinstance(through, MessageHandler), "it is the same performer, on another account"
        effects.breakers.quotas.look()
        claimed = _claim(effects, through, mail_id, sender)
        if isinstance(claimed, ledger.Doubtful):
            claimed = _settled(effects, through, mail_id, sender, claimed)
        if isinstance(claimed, _Claimed):
            _call(effects, through, claimed, turn)
    finally:
        effects.breakers.gives_back(turn)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Committed: the call may be made, if it begins before `begin_by` (monotonic seconds)."""

    mail_id: str
    outgoing: Outgoing
    attempt: int
    begin_by: float
    repeats: bool
    """A former call may have arrived: what is certain of this one is not of that."""


def _message(session: Session, mail_id: str) -> Row[Any] | None:
    return on(session).execute(sql_select(messages).where(messages.c.id == ledger.message_id_of(once_key_of(mail_id)))).first()


def _locked(session: Session, mail_id: str) -> PersonalMail | None:
    """The mail, fresh, under its contact's lock; None where there is none. Of somebody who was erased the gate says that it goes nowhere."""
    mail = session.get(PersonalMail, mail_id)
    if mail is None:
        return None
    lock_contact(session, mail.contact_id)
    return session.get(PersonalMail, mail_id, populate_existing=True)


def _claim(
    effects: Effects, performer: MessageHandler, mail_id: str, sender: str, *, repeat: bool = False
) -> _Claimed | ledger.Doubtful | None:
    """Lock, ledger, gate, claim. `repeat`: a call without an answer is made again, by a provider that knows its key."""
    began, clock, now = time.monotonic(), effects.engine.clock, effects.engine.clock.now()
    with effects.engine.db.write() as session:
        mail = _locked(session, mail_id)
        row = _message(session, mail_id) if mail is not None else None
        body = session.get(Body, row.body_id) if row is not None and row.body_id else None
        if mail is None or row is None or body is None or mail.next_at is None or mail.next_at > now:
            return None
        stands = ledger.look(session, row.once_key, now, clock.to_real(now))
        if isinstance(stands, ledger.InFlight):
            _next(session, mail, clock.to_virtual(stands.lease_until))
            return None
        if isinstance(stands, ledger.Done):
            _next(session, mail, None)
            return None
        if isinstance(stands, ledger.Doubtful) and not repeat:
            return stands
        in_doubt = isinstance(stands, ledger.Doubtful)
        if now > mail.give_up_at:  # nobody was there to send it, or its provider never answered
            _end(session, effects, row, *(("uncertain", "no_answer") if in_doubt else ("failed", "not_in_time")), now)
            _next(session, mail, None)
            return None
        verdict = _asked(session, performer, row, now)
        if isinstance(verdict, Hold) and verdict.until <= mail.give_up_at and not in_doubt:
            ledger.put(session, row.once_key, {}, now, status="held", reason=verdict.reason, held_until=verdict.until)
            _next(session, mail, verdict.until)
            return None
        if not isinstance(verdict, Pass):
            reason = f"held_too_long_{verdict.reason}" if isinstance(verdict, Hold) and not in_doubt else verdict.reason
            _end(session, effects, row, "uncertain" if in_doubt else "skipped", reason, now)
            _next(session, mail, None)
            return None
        body.recipient = verdict.address
        session.add(body)
        lasts = timedelta(seconds=time.monotonic() - began + performer.timeout_seconds) + ledger.MARGIN
        kept = {name: getattr(row, name) for name in ("subject", "locale", "template_version", "body_id")}
        if stands.attempts == 0:
            effects.breakers.quotas.count(session, (named(performer)["account"], sender))
        ledger.claim(session, row.once_key, {**kept, **named(performer)}, now, clock.to_real(now) + lasts, stands.attempts + 1)
        _next(session, mail, clock.later(now, lasts))
        begin_by = time.monotonic() + ledger.MARGIN.total_seconds()
        return _Claimed(mail_id, _outgoing(row, body), stands.attempts + 1, begin_by, in_doubt)


def _asked(session: Session, performer: MessageHandler, row: Row[Any], now: datetime) -> gate.Verdict:
    """The whole gate, once more: what was allowed when the letter was written may not be any more."""
    contact = lock_contact(session, row.contact_id)
    if contact.demo and performer.provider.reaches_people:
        return Refuse(MADE_UP)
    asked = wanted(row.id, row.message_class, row.purpose, row.topic)
    return gate.ask(session, contact, asked, performer.messaging.address_keys, now)


def _outgoing(row: Row[Any], body: Body) -> Outgoing:
    headers = dict(body.headers)
    reply_to = str(headers.pop(REPLY_TO, ""))
    return Outgoing(
        once_key=row.once_key,
        message_id=row.id,
        channel=DEFAULT,
        recipient=body.recipient,
        sender=body.sender,
        reply_to=reply_to,
        subject=body.subject,
        html=body.html,
        text=body.text,
        headers=headers,
    )


def _next(session: Session, mail: PersonalMail, at: datetime | None) -> None:
    mail.next_at = at
    session.add(mail)


def _settled(effects: Effects, performer: MessageHandler, mail_id: str, sender: str, doubt: ledger.Doubtful) -> _Claimed | None:
    """Only the account that made the call knows what became of it, and for so long as it remembers; another one would send it a second time. The call
    began at the earliest when the mail was planned."""
    maker = effects.maker(performer, doubt.provider, doubt.account)
    if maker is not None and maker.delivery_check == "idempotent":
        forgotten = timedelta(0) < maker.remembers < effects.engine.clock.now() - doubt.planned_at
        maker = None if forgotten or maker is not performer else maker
    if maker is None or maker.delivery_check == "blind":
        _close(effects, mail_id, doubt.attempts, "uncertain", "no_answer")
        return None
    if maker.delivery_check == "lookup":
        try:
            known = maker.lookup(once_key_of(mail_id))
        except RetryLater as failure:
            _put_off(effects, mail_id, failure.after)
            return None
        if known is not None:
            _close(effects, mail_id, doubt.attempts, known.status, known.kind, known)
            return None
        with effects.engine.db.write() as session:
            _locked(session, mail_id)
            ledger.release(session, once_key_of(mail_id), "looked_up_absent", doubt.attempts)
    claimed = _claim(effects, performer, mail_id, sender, repeat=True)
    return claimed if isinstance(claimed, _Claimed) else None


# The call


def _call(effects: Effects, performer: MessageHandler, claimed: _Claimed, turn: Turn) -> None:
    if time.monotonic() > claimed.begin_by:  # this process stood still, and the claim may be over
        return _later(effects, claimed, RetryLater("stalled", ledger.MARGIN))
    close = partial(_close, effects, claimed.mail_id, claimed.attempt)
    send = partial(performer.provider.send, claimed.outgoing)
    match attempt(effects.breakers, turn, claimed.outgoing.recipient, claimed.attempt, send):
        case RetryLater() as failure:
            _later(effects, claimed, failure)
        case InDoubt(code=code):
            if performer.delivery_check == "blind":
                close("uncertain", code)
        case AddressDead(code=code):
            close("bounced", code, dead=performer)
        case OptedOut():
            close("skipped", OPTED_OUT)
        case MessageDead(code=code):
            close("failed", code)
        case answer:
            close(answer.status, answer.kind, answer)
    return None


def _later(effects: Effects, claimed: _Claimed, failure: RetryLater) -> None:
    """Certainly not sent: the claim is free, and it is tried again for as long as its author may expect it to leave. After a call that may have
    arrived it stays a claim, so that no other account takes the mail."""
    now = effects.engine.clock.now()
    with effects.engine.db.write() as session:
        mail = _locked(session, claimed.mail_id)
        row = _message(session, claimed.mail_id)
        if row is None or not ledger.is_claimed(session, row.once_key, claimed.attempt):
            return
        until = effects.engine.clock.later(now, failure.after)
        if mail is None or until > mail.give_up_at:
            _end(session, effects, row, "uncertain" if claimed.repeats else "failed", failure.code, now)
            if mail is not None:
                _next(session, mail, None)
            return
        if not claimed.repeats:
            ledger.release(session, row.once_key, failure.code, claimed.attempt)
        _next(session, mail, until)


def _put_off(effects: Effects, mail_id: str, after: timedelta) -> None:
    now = effects.engine.clock.now()
    with effects.engine.db.write() as session:
        mail = _locked(session, mail_id)
        if mail is None or mail.next_at is None:
            return
        row, until = _message(session, mail_id), effects.engine.clock.later(now, after)
        stands = ledger.look(session, row.once_key, now, effects.engine.clock.to_real(now)) if row is not None else None
        if row is not None and until > mail.give_up_at and isinstance(stands, ledger.Fresh | ledger.Doubtful):
            end = ("uncertain", "no_answer") if isinstance(stands, ledger.Doubtful) else ("failed", "not_in_time")
            _end(session, effects, row, *end, now)
            _next(session, mail, None)
        else:
            _next(session, mail, until)


def _drop(effects: Effects, mail_id: str) -> None:
    """Its text was purged while nobody sent it: there is nothing to send any more, and it must not keep the others back."""
    now = effects.engine.clock.now()
    with effects.engine.db.write() as session:
        mail = _locked(session, mail_id)
        row = _message(session, mail_id)
        if row is not None and row.status in ("planned", "held", "claimed"):
            _end(session, effects, row, *(("uncertain", "no_answer") if row.status == "claimed" else ("failed", "not_in_time")), now)
        if mail is not None:
            _next(session, mail, None)


def _close(
    effects: Effects,
    mail_id: str,
    number: int,
    status: str,
    reason: str,
    answer: Answer | None = None,
    *,
    dead: MessageHandler | None = None,
) -> None:
    """Writes the end, unless another attempt has written one. `dead`: the address is, and its account must not call it again."""
    now = effects.engine.clock.now()
    with effects.engine.db.write() as session:
        mail, row = _locked(session, mail_id), _message(session, mail_id)
        if row is None or not ledger.is_claimed(session, row.once_key, number):
            return
        more: dict[str, Any] = {"provider_id": answer.provider_id[:200]} if answer is not None else {}
        _end(session, effects, row, status, reason, now, **more)
        body = session.get(Body, row.body_id) if row.body_id else None
        sender = sender_of(DEFAULT, body.sender) if body is not None else ""
        ledger.count_sending(session, DEFAULT, (row.account, sender), status, now)
        if mail is None:
            return
        if dead is not None and body is not None:
            keys = dead.messaging.address_keys
            suppression.suppress(session, keys, dead.channel, body.recipient, "hard_bounce", now, f"provider:{dead.name}")
        _next(session, mail, None)


def _end(session: Session, effects: Effects, row: Row[Any], status: str, reason: str, now: datetime, **more: Any) -> None:
    """The message's end, and the event that tells of it; the keeper routes it if anybody listens."""
    values: dict[str, Any] = {"status": status, "reason": reason[:64], "lease_until": None, "held_until": None, **more}
    values |= {"sent_at": now} if status in ("sent", "uncertain") else {}
    values |= {"bounced_at": now} if status == "bounced" else {}
    ledger.put(session, row.once_key, {}, now, **values)
    name = FATES.get(status)
    if name is None:
        return
    told = {"message_id": row.id, "template": row.template, "channel": DEFAULT, "message_class": row.message_class, "machine": False}
    told |= {"reason": reason} if reason and status in ("skipped", "bounced") else {}
    told |= {"bounce": "hard"} if status == "bounced" else {}
    heard = is_heard(effects.engine, session, row.contact_id, name)
    append_event(session, row.contact_id, "system", name, told, now, message_id=f"{name}:{row.id}", routed=not heard)
