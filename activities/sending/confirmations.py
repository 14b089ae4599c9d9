"""Mails that ask an address to confirm (`crm.consent.double_opt_in`), and their one reminder: through the ledger and the gate, once each.

They belong to no run. The claim is committed before the call as for every message, so a process that dies leaves a claim; when it is over the
provider says what became of it, takes the same key again, or the mail is uncertain and does not leave a second time.

What is kept of such a mail has no link that works: opening it is the proof that the address has answered, and it is for the address alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from activities.looking import look_until
from activities.providers.provider import AddressDead, Answer, InDoubt, MessageDead, Outgoing, ProviderFailure, RetryLater
from activities.rendering import CompiledTemplate, RenderBusy, Rendered, RenderFailed, answered, compile_template
from activities.sending import gate, ledger
from activities.sending.attempt import attempt
from activities.sending.breakers import Stopped, Turn
from activities.sending.effect import Effects
from activities.sending.gate import Hold, Pass, Refuse, SendRequest
from activities.sending.handler import named
from activities.sending.identity import sender_of, sender_of_body
from activities.sending.ledger import messages
from activities.sending.messages import MADE_UP, MessageHandler, contact_values
from activities.templates.library import NOBODY
from crm.consent import double_opt_in, suppression
from crm.rules.sql_facts import SqlFacts
from engine.temporal.wakeups import Wakeups
from journeys.errors import where
from models import OPEN_MESSAGE, Body, Contact, OptIn, Template, TemplateVersion
from storage.locks import lock_contact
from storage.sql import table
from workspace import brand, settings
from workspace.imprint import sender_values

log = logging.getLogger(__name__)
opt_ins = table(OptIn)

PAGE = 20
LOOK_SECONDS = 2.0
TRANSACTIONAL = "transactional"
AFTER_AN_ERROR = timedelta(minutes=5)
"""When a request comes back that could not be dealt with; the others do not wait for it."""
_SUBJECTS = {"default": "Please confirm your e-mail address", "de": "Bitte bestätigen Sie Ihre E-Mail-Adresse"}


async def run(effects: Effects, stop: asyncio.Event) -> None:
    """As `look_until`."""
    await look_until(stop, partial(asyncio.to_thread, send_due, effects), LOOK_SECONDS, "asking for confirmations")


def send_due(effects: Effects) -> None:
    """Sends what is due, one after the other. Safe in any number of processes: the claim decides."""
    with effects.engine.db.read() as session:
        due, usual = double_opt_in.due(session, effects.engine.clock.now(), PAGE), settings.load(session, settings.Sender)
    for opt_in_id in due:
        performer = effects.performers.get(double_opt_in.CHANNEL)
        if isinstance(performer, MessageHandler):
            _or_later(effects, performer, opt_in_id, sender_of(performer.channel, performer.sender(usual)))


def _or_later(effects: Effects, performer: MessageHandler, opt_in_id: str, sender: str) -> None:
    try:
        _in_turn(effects, performer, opt_in_id, sender)
    except Exception as error:  # noqa: BLE001 - one request does not keep the others
        log.error("the confirmation %s is not sent now and is tried again: %s", opt_in_id, where(error))
        _put_off(effects, opt_in_id, AFTER_AN_ERROR)


def _in_turn(effects: Effects, performer: MessageHandler, opt_in_id: str, sender: str) -> None:
    """`sender`: the domain that the mail is from."""
    through, turn = effects.turn(performer, performer.channel, opt_in_id, sender=sender)
    if isinstance(turn, Stopped):
        return _put_off(effects, opt_in_id, turn.after)
    try:
        assert isinstance(through, MessageHandler), "it is the same performer, on another account"
        _send(effects, through, opt_in_id, turn)
    finally:
        effects.breakers.gives_back(turn)
    return None


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Committed: the call may be made, if it begins before `begin_by` (monotonic seconds)."""

    opt_in_id: str
    once_key: str
    outgoing: Outgoing
    attempt: int
    begin_by: float


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A former call has no answer."""

    once_key: str
    stands: ledger.Doubtful


@dataclass(frozen=True, slots=True)
class _Draft:
    """The mail of that number, filled in. `kept`: the same without the link. `template`: the workspace's, in that version."""

    number: int
    rendered: Rendered
    kept: Rendered
    template: str = ""
    version: int | None = None

    @property
    def ledger(self) -> dict[str, Any]:
        return {
            "template": self.template,
            "template_version": self.version,
            "locale": self.kept.locale,
            "subject": self.kept.subject,
        }


def _send(effects: Effects, performer: MessageHandler, opt_in_id: str, turn: Turn) -> None:
    draft = _draft(effects, performer, opt_in_id)
    if draft is None:
        return
    claimed = _claim(effects, performer, opt_in_id, draft)
    if isinstance(claimed, _Doubt):
        claimed = _settled(effects, performer, opt_in_id, draft, claimed)
    if claimed is not None:
        _call(effects, performer, claimed, turn)


def _settled(effects: Effects, performer: MessageHandler, opt_in_id: str, draft: _Draft, doubt: _Doubt) -> _Claimed | None:
    """Only the account that made the call knows what became of it; another one would send it a second time."""
    maker = effects.maker(performer, doubt.stands.provider, doubt.stands.account)
    if maker is None or maker.delivery_check == "blind" or (maker.delivery_check == "idempotent" and maker is not performer):
        _close(effects, opt_in_id, doubt.once_key, doubt.stands.attempts, "uncertain", "no_answer")
        return None
    if maker.delivery_check == "lookup":
        try:
            known = maker.lookup(doubt.once_key)
        except RetryLater as failure:
            _put_off(effects, opt_in_id, failure.after)
            return None
        if known is not None:
            _close(effects, opt_in_id, doubt.once_key, doubt.stands.attempts, known.status, known.kind, known)
            return None
        with effects.engine.db.write() as session:
            double_opt_in.locked(session, opt_in_id)
            ledger.release(session, doubt.once_key, "looked_up_absent", doubt.stands.attempts)
    claimed = _claim(effects, performer, opt_in_id, draft, repeat=True)
    return None if isinstance(claimed, _Doubt) else claimed


def settle(effects: Effects) -> Wakeups:
    """A duty of the keeper: gives claims their end that nobody comes back to, because the request was confirmed or another one took its place
    while the call was made, and its process died. Nothing is sent any more."""
    clock = effects.engine.clock
    with effects.engine.db.read() as session:
        late: Sequence[Any] = session.execute(_abandoned, {"before": clock.to_real(clock.now()) - ledger.MARGIN}).all()
    performer = effects.performers.get(double_opt_in.CHANNEL)
    for row in late:
        if isinstance(performer, MessageHandler):
            _end(effects, performer, row)
    return Wakeups()


_opt_in_of = func.substr(messages.c.once_key, len(double_opt_in.ONCE) + 1, 32)
"""The id of the request that a mail belongs to."""
_abandoned = (
    select(messages.c.once_key, messages.c.attempts, messages.c.provider, messages.c.account, _opt_in_of.label("opt_in_id"))
    .outerjoin(opt_ins, opt_ins.c.id == _opt_in_of)
    .where(OPEN_MESSAGE, messages.c.status == "claimed", messages.c.lease_until < bindparam("before"))
    .where(messages.c.once_key.startswith(double_opt_in.ONCE, autoescape=True), opt_ins.c.next_at.is_(None))
    .order_by(messages.c.lease_until)
    .limit(PAGE)
)


def _end(effects: Effects, performer: MessageHandler, row: Row[Any]) -> None:
    """Only the account that made the call is asked."""
    maker = effects.maker(performer, row.provider, row.account)
    asked = maker if maker is not None and maker.delivery_check == "lookup" else None
    try:
        known = asked.lookup(row.once_key) if asked else None
    except ProviderFailure:
        return  # asked again at the next tick
    status, reason = (known.status, known.kind) if known else ("skipped", "not_needed") if asked else ("uncertain", "no_answer")
    _close(effects, row.opt_in_id, row.once_key, row.attempts, status, reason, known)


# The claim


def _claim(effects: Effects, performer: MessageHandler, opt_in_id: str, draft: _Draft, *, repeat: bool = False) -> _Claimed | _Doubt | None:
    """Lock, ledger, gate, claim. `repeat`: a call without an answer is made again, by a provider that knows its key."""
    began, now = time.monotonic(), effects.engine.clock.now()
    with effects.engine.db.write() as session:
        row = double_opt_in.locked(session, opt_in_id)
        if row is None or row.next_at is None or row.next_at > now or row.sent + 1 != draft.number:
            return None
        once_key = once_key_of(row)
        stands = ledger.look(session, once_key, now, effects.engine.clock.to_real(now))
        match stands:
            case ledger.InFlight(lease_until=until):
                double_opt_in.put_off(session, row, effects.engine.clock.to_virtual(until))
                return None
            case ledger.Done():
                double_opt_in.mailed(session, row, now, again=True)
                return None
            case ledger.Doubtful() if not repeat:
                return _Doubt(once_key, stands)
            case ledger.Fresh() if now >= row.expires_at:  # nobody was there to send it in time
                double_opt_in.put_off(session, row, now)
                return None
            case ledger.Doubtful() | ledger.Fresh():
                return _through_gate(effects, performer, session, row, draft, stands, began, now)


def _through_gate(
    effects: Effects,
    performer: MessageHandler,
    session: Session,
    row: OptIn,
    draft: _Draft,
    stands: ledger.Fresh | ledger.Doubtful,
    began: float,
    now: datetime,
) -> _Claimed | None:
    once_key, fixed = once_key_of(row), {**_fixed(row), **named(performer)}
    verdict = _ask(session, performer, row, ledger.message_id_of(once_key), now)
    if not isinstance(verdict, Pass):
        status = "uncertain" if isinstance(stands, ledger.Doubtful) else "skipped"
        ledger.put(session, once_key, fixed, now, status=status, reason=verdict.reason, lease_until=None)
        double_opt_in.mailed(session, row, now, again=False)
        return None
    outgoing = _outgoing(session, performer, row, draft.rendered)
    kept = {**fixed, **draft.ledger, "body_id": _body(session, row, _outgoing(session, performer, row, draft.kept), now)}
    lasts = timedelta(seconds=time.monotonic() - began + performer.timeout_seconds) + ledger.MARGIN
    clock = effects.engine.clock
    ledger.claim(session, once_key, kept, now, clock.to_real(now) + lasts, stands.attempts + 1)
    row.next_at = clock.later(now, lasts)
    session.add(row)
    return _Claimed(row.id, once_key, outgoing, stands.attempts + 1, time.monotonic() + ledger.MARGIN.total_seconds())


def once_key_of(row: OptIn) -> str:
    """Of the mail that is due."""
    return f"{double_opt_in.ONCE}{row.id}:{row.sent + 1}"


def _body(session: Session, row: OptIn, kept: Outgoing, now: datetime) -> str:
    body = Body(
        contact_id=row.contact_id,
        recipient=row.address,
        sender=kept.sender,
        subject=kept.subject,
        headers=dict(kept.headers),
        html=kept.html,
        text=kept.text,
        created_at=now,
    )
    session.add(body)
    session.flush()
    return body.id


def _fixed(row: OptIn) -> dict[str, Any]:
    """A mail of nobody's journey: transactional, in no cap class."""
    return {
        "contact_id": row.contact_id,
        "channel": double_opt_in.CHANNEL,
        "purpose": row.purpose,
        "message_class": TRANSACTIONAL,
        "node": "",
    }


def _ask(session: Session, performer: MessageHandler, row: OptIn, message_id: str, now: datetime) -> Pass | Refuse | Hold:
    """The gate, for the address that was asked with."""
    contact = lock_contact(session, row.contact_id)
    if contact.demo and performer.provider.reaches_people:
        return Refuse(MADE_UP)
    wanted = SendRequest(message_id, double_opt_in.CHANNEL, row.purpose, TRANSACTIONAL, "", 3, None, "UTC")
    return gate.ask(session, contact, wanted, performer.messaging.address_keys, now, address=row.address)


# The mail


@cache
def built_in() -> CompiledTemplate:
    """The mail where the workspace has none of its own: a link, who asks, and that nothing happens without it. It holds no word that whoever
    asked has typed, and no advertising."""
    here = files("activities.templates")
    variants = {
        name: {"subject": subject, "mjml": (here / f"confirmation.{'de' if name == 'de' else 'en'}.mjml").read_text("utf-8")}
        for name, subject in _SUBJECTS.items()
    }
    return compile_template(variants, double_opt_in.CHANNEL, message_class=TRANSACTIONAL)


def _chosen(session: Session) -> tuple[str, int | None, CompiledTemplate]:
    """The workspace's template in its newest version; the one that is built in if it has none, or took it away since."""
    key = settings.load(session, settings.DoubleOptIn).template
    template = session.get(Template, key) if key else None
    if template is not None and template.archived_at is None:
        newest = select(TemplateVersion).where(col(TemplateVersion.key) == key).order_by(col(TemplateVersion.number).desc()).limit(1)
        version = session.scalar(newest)
        if version is not None:
            compiled = CompiledTemplate.from_json(template.kind, version.compiled)
            if all("confirm_url" in variant.fields for variant in compiled.variants.values()):
                return key, version.number, compiled
    return "", None, built_in()


def _draft(effects: Effects, performer: MessageHandler, opt_in_id: str) -> _Draft | None:
    """The workspace's mail, or where it cannot be filled in the one that is built in; None: not now, or the request is gone."""
    with effects.engine.db.read() as session:
        row = session.get(OptIn, opt_in_id)
        contact = session.get(Contact, row.contact_id) if row is not None else None
        if row is None or contact is None:
            return None
        key, version, compiled = _chosen(session)
        now, languages = effects.engine.clock.now(), [row.language, performer.messaging.language]
        values = {**_values(session, performer, row, contact, now), **_answered(session, compiled, languages, contact.id, now)}
    zone = contact.timezone or performer.messaging.zone
    fill = partial(performer.messaging.renderer.render, locales=languages, message_class=TRANSACTIONAL, zone=zone)
    inert = {**values, "confirm_url": performer.messaging.tracking.confirm_url(ledger.message_id_of(once_key_of(row)), NOBODY)}
    number = row.sent + 1
    try:
        return _Draft(number, fill(compiled, values=values), fill(compiled, values=inert), key, version)
    except RenderBusy:
        return None
    except RenderFailed as error:
        log.warning("the template %s cannot ask for a confirmation (%s); the one that is built in does", key, error.code)
        return _Draft(number, fill(built_in(), values=values), fill(built_in(), values=inert))


def _answered(session: Session, compiled: CompiledTemplate, languages: Sequence[str], contact_id: str, now: datetime) -> Mapping[str, Any]:
    try:
        return answered(compiled, languages, SqlFacts(session, contact_id, as_of=now), now)
    except RenderFailed:  # filling in fails for the same reason, and says so
        return {}


def _values(session: Session, performer: MessageHandler, row: OptIn, contact: Contact, now: datetime) -> Mapping[str, Any]:
    sender, name = sender_values(session), settings.load(session, settings.Appearance).name
    message_id = ledger.message_id_of(once_key_of(row))
    return {
        "contact": contact_values(contact),
        "trigger": {"reminder": row.sent > 0, "expires_at": row.expires_at},
        "run": {"id": "", "journey": "", "started_at": now},
        "steps": {},
        "sender": {**sender, "name": sender["name"] or name},
        "brand": brand.values(session, performer.messaging.tracking.public_url),
        "now": now,
        "confirm_url": performer.messaging.tracking.confirm_url(message_id, row.id),
    }


def _outgoing(session: Session, performer: MessageHandler, row: OptIn, rendered: Rendered) -> Outgoing:
    sender, once_key = settings.load(session, settings.Sender), once_key_of(row)
    return Outgoing(
        once_key=once_key,
        message_id=ledger.message_id_of(once_key),
        channel=double_opt_in.CHANNEL,
        recipient=row.address,
        sender=performer.sender(sender),
        reply_to=sender.reply_to,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers={**rendered.headers, "Auto-Submitted": "auto-generated"},
    )


# The call


def _call(effects: Effects, performer: MessageHandler, claimed: _Claimed, turn: Turn) -> None:
    if time.monotonic() > claimed.begin_by:  # this process stood still, and the claim may be over
        return _later(effects, claimed, RetryLater("stalled", ledger.MARGIN))
    send = partial(performer.provider.send, claimed.outgoing)
    close = partial(_close, effects, claimed.opt_in_id, claimed.once_key, claimed.attempt)
    match attempt(effects.breakers, turn, claimed.outgoing.recipient, claimed.attempt, send):
        case RetryLater() as failure:
            _later(effects, claimed, failure)
        case InDoubt(code=code):
            if performer.delivery_check == "blind":
                close("uncertain", code)
        case AddressDead(code=code):
            close("bounced", code, dead=performer)
        case MessageDead(code=code):
            close("failed", code)
        case answer:
            close(answer.status, answer.kind, answer)
    return None


def _later(effects: Effects, claimed: _Claimed, failure: RetryLater) -> None:
    """Certainly not sent: the claim is free, and it is tried again as long as its link would work."""
    with effects.engine.db.write() as session:
        row = double_opt_in.locked(session, claimed.opt_in_id)
        ledger.release(session, claimed.once_key, failure.code, claimed.attempt)
        if row is not None and once_key_of(row) == claimed.once_key and row.next_at is not None:
            double_opt_in.put_off(session, row, effects.engine.clock.later(effects.engine.clock.now(), failure.after))


def _put_off(effects: Effects, opt_in_id: str, after: timedelta) -> None:
    with effects.engine.db.write() as session:
        row = double_opt_in.locked(session, opt_in_id)
        if row is not None and row.next_at is not None:
            double_opt_in.put_off(session, row, effects.engine.clock.later(effects.engine.clock.now(), after))


def _close(
    effects: Effects,
    opt_in_id: str,
    once_key: str,
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
        row = double_opt_in.locked(session, opt_in_id)
        if not ledger.is_claimed(session, once_key, number):
            return
        values: dict[str, Any] = {"status": status, "reason": reason[:64], "lease_until": None}
        values |= {"sent_at": now} if status in ("sent", "uncertain") else {}
        values |= {"bounced_at": now} if status == "bounced" else {}
        values |= {"provider_id": answer.provider_id[:200]} if answer is not None else {}
        ledger.put(session, once_key, {}, now, **values)
        sender = sender_of_body(session, double_opt_in.CHANNEL, ledger.body_of(session, once_key))
        ledger.count_sending(session, double_opt_in.CHANNEL, (ledger.account_of(session, once_key), sender), status, now)
        if row is None:
            return
        if dead is not None:
            source = f"provider:{dead.name}"
            suppression.suppress(session, dead.messaging.address_keys, dead.channel, row.address, "hard_bounce", now, source)
        double_opt_in.mailed(session, row, now, again=status in ("sent", "uncertain"))
