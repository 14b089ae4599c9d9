"""Messages that a person wants sent again (`crm.uncertain`): the same text, under the same key, through the whole gate.

The claim is committed before the call as for every message, so a process that dies leaves a claim that `reconcile` settles: the message is
uncertain again, or found at the provider, and never leaves a second time by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from activities.looking import look_until
from activities.providers.provider import AddressDead, Answer, InDoubt, MessageDead, OptedOut, RetryLater
from activities.sending import ledger
from activities.sending.attempt import attempt
from activities.sending.breakers import Stopped, Turn
from activities.sending.effect import OPTED_OUT, DeliveryOutcome, Effects, append_outcome
from activities.sending.gate import Hold, Pass, Refuse
from activities.sending.handler import ChannelHandler, Draft, Job, named
from activities.sending.identity import sender_of_body
from activities.sending.ledger import messages
from activities.sending.messages import stored
from crm.uncertain import lock_message
from engine.engine import Engine, NotLoaded
from engine.interpreter.state import State
from journeys.values import Call
from models import OPEN_MESSAGE, Contact, Run
from storage import held_messages
from storage.held_messages import AGAIN
from storage.sql import on, table

log = logging.getLogger(__name__)

runs = table(Run)
contacts = table(Contact)
PAGE = 20
LOOK_SECONDS = 5.0

_due = (
    select(
        messages.c.id,
        messages.c.channel,
        messages.c.once_key,
        messages.c.provider,
        messages.c.account,
        messages.c.message_class,
        messages.c.body_id,
    )
    .where(OPEN_MESSAGE, messages.c.status == "held", messages.c.reason == AGAIN)
    .order_by(messages.c.held_until)
    .limit(PAGE)
)


async def run(effects: Effects, stop: asyncio.Event) -> None:
    """As `look_until`."""
    await look_until(stop, partial(asyncio.to_thread, send_due, effects), LOOK_SECONDS, "sending again")


def send_due(effects: Effects) -> None:
    """Sends what is due, one after the other. Safe in any number of processes: the claim decides."""
    now = effects.engine.clock.now()
    with effects.engine.db.read() as session:
        due: Sequence[Any] = session.execute(_due.where(messages.c.held_until <= now)).all()
    for row in due:
        performer = effects.performers.get(row.channel)
        if performer is None:
            continue
        is_marketing = row.message_class == "marketing"
        with effects.engine.db.read() as session:
            sender = sender_of_body(session, row.channel, row.body_id)
        performer, turn = effects.turn(performer, row.channel, row.once_key, marketing=is_marketing, sender=sender)
        if isinstance(turn, Stopped):
            _put_off(effects.engine, row.id, now + turn.after)
            continue
        try:
            _send(effects, performer, row, turn)
        except NotLoaded as error:
            log.error("the message %s cannot be sent again here: %s", row.id, error.code)
        finally:
            effects.breakers.gives_back(turn)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Committed: the call may be made, if it begins before `begin_by` (monotonic seconds)."""

    job: Job
    draft: Draft
    address: str
    attempt: int
    begin_by: float


def _send(effects: Effects, performer: ChannelHandler, row: Row[Any], turn: Turn) -> None:
    """A provider that can tell is asked first: the doubtful attempt may have arrived."""
    engine = effects.engine
    now = engine.clock.now()
    maker = effects.maker(performer, row.provider, row.account)
    try:
        known = maker.lookup(row.once_key) if maker is not None and maker.delivery_check == "lookup" else None
    except RetryLater as failure:
        return _put_off(engine, row.id, now + failure.after)
    if known is not None:
        return _close(engine, performer, row.id, None, known.status, known.kind, answer=known)
    effects.breakers.quotas.look()
    claimed = _claim(effects, performer, row.id, now, time.monotonic())
    if claimed is not None:
        _call(effects, performer, row.id, claimed, turn)
    return None


def _claim(effects: Effects, performer: ChannelHandler, message_id: str, now: datetime, began: float) -> _Claimed | None:
    """A daily limit keeps nothing back that a person wants sent; it is counted."""
    engine = effects.engine
    with engine.db.write() as session:
        row = lock_message(session, message_id)
        if not _is_due(row, now):
            return None
        job = _job(engine, session, row, now)
        draft = stored(session, row)
        if draft is None:
            _dropped(session, row, "no_body", now)
            return None
        contact = on(session).execute(select(contacts).where(contacts.c.id == row.contact_id)).first()
        match performer.ask(session, contact, job, draft):
            case Refuse(reason=reason):
                _dropped(session, row, reason, now)
            case Hold(until=until, reason=reason):
                if until > datetime.fromisoformat(row.answer["again_at"]) + job.program.settings.hold_at_most:
                    _dropped(session, row, f"held_too_long_{reason}", now)
                else:
                    _write(session, message_id, held_until=until)
            case Pass(address=address):
                fixed = {**_kept(row), **named(performer), **performer.record(session, job, draft, address)}
                passed = timedelta(seconds=time.monotonic() - began + performer.timeout_seconds) + ledger.MARGIN
                lease_until = engine.clock.to_real(now) + passed
                effects.breakers.quotas.count(session, (named(performer)["account"], draft.sender))
                ledger.claim(session, row.once_key, fixed, now, lease_until, row.attempts + 1)
                return _Claimed(job, draft, address, row.attempts + 1, time.monotonic() + ledger.MARGIN.total_seconds())
    return None


def _is_due(row: Row[Any], now: datetime) -> bool:
    return bool(row.status == "held" and row.reason == AGAIN and row.held_until <= now)


def _kept(row: Row[Any]) -> dict[str, Any]:
    """What a claim writes anew stays as it was."""
    return {name: getattr(row, name) for name in ("subject", "locale", "template_version", "body_id", "mailbox_key")}


def _job(engine: Engine, session: Session, row: Row[Any], now: datetime) -> Job:
    """The call as the run once stood at it, as far as the gate and the provider ask."""
    run = on(session).execute(select(runs).where(runs.c.id == row.run_id)).one()
    visit = int(row.once_key.rpartition(":")[2])
    said = {"purpose": row.purpose, "message_class": row.message_class, "template": row.template or None, "topic": row.topic}
    call = Call(channel=row.channel, input=said)
    state = State(node=row.node, visits={row.node: visit})
    return Job(run, engine.program(session, run.version_id), state, call, run.step, now, engine.clock)


def _dropped(session: Session, row: Row[Any], reason: str, now: datetime) -> None:
    """It does not leave: what is known of it is what was known before."""
    ledger.count_fate(session, row.once_key, row, row.node, "uncertain", reason, {}, row.sent_at or now)
    _write(session, row.id, status="uncertain", reason=reason[:64], held_until=None, lease_until=None)


def _write(session: Session, message_id: str, **values: Any) -> None:
    on(session).execute(update(messages).where(messages.c.id == message_id).values(**values))


def _put_off(engine: Engine, message_id: str, until: datetime) -> None:
    with engine.db.write() as session:
        row = lock_message(session, message_id)
        if row.status == "held" and row.reason == AGAIN:
            _write(session, message_id, held_until=until)


# The call


def _call(effects: Effects, performer: ChannelHandler, message_id: str, claimed: _Claimed, turn: Turn) -> None:
    engine, number = effects.engine, claimed.attempt
    if time.monotonic() > claimed.begin_by:  # this process stood still, and the claim may be over
        return _later(engine, message_id, number, RetryLater("stalled", ledger.MARGIN))
    send = partial(performer.send, claimed.job, claimed.draft, claimed.address, number)
    match attempt(effects.breakers, turn, claimed.address, number, send):
        case RetryLater() as failure:
            _later(engine, message_id, number, failure)
        case InDoubt(code=code):
            if performer.delivery_check != "lookup":  # else the claim stays, and the provider is asked when it is over
                _close(engine, performer, message_id, claimed, "uncertain", code)
        case AddressDead(code=code):
            _close(engine, performer, message_id, claimed, "bounced", code)
        case OptedOut():
            _close(engine, performer, message_id, claimed, "skipped", OPTED_OUT)
        case MessageDead(code=code):
            _close(engine, performer, message_id, claimed, "failed", code)
        case answer:
            _close(engine, performer, message_id, claimed, answer.status, answer.kind, answer=answer)
    return None


def _later(engine: Engine, message_id: str, number: int, failure: RetryLater) -> None:
    """This attempt certainly did not arrive; it comes back until the journey's patience is over, counted from the decision."""
    now = engine.clock.now()
    with engine.db.write() as session:
        row = lock_message(session, message_id)
        if (row.status, row.attempts) != ("claimed", number):
            return
        until, asked = now + failure.after, datetime.fromisoformat(row.answer["again_at"])
        if until > asked + engine.program(session, _version(session, row)).settings.hold_at_most:
            _dropped(session, row, failure.code, now)
        else:
            _write(session, message_id, status="held", reason=AGAIN, held_until=until, claimed_at=None, lease_until=None)


def _version(session: Session, row: Row[Any]) -> str:
    version_id: str = on(session).execute(select(runs.c.version_id).where(runs.c.id == row.run_id)).scalar_one()
    return version_id


def _close(
    engine: Engine,
    performer: ChannelHandler,
    message_id: str,
    claimed: _Claimed | None,
    status: str,
    reason: str,
    *,
    answer: Answer | None = None,
) -> None:
    """Writes the end, unless another attempt or a late answer has written one. `claimed` None: the provider knew it."""
    now = engine.clock.now()
    with engine.db.write() as session:
        row = lock_message(session, message_id)
        mine = _is_due(row, now) if claimed is None else (row.status, row.attempts) == ("claimed", claimed.attempt)
        if not mine:
            return
        job = claimed.job if claimed else _job(engine, session, row, now)
        values: dict[str, Any] = {"status": status, "reason": reason[:64], "lease_until": None, "held_until": None}
        values |= {"sent_at": now} if status in ("sent", "uncertain") else {"mailbox_key": None}
        if answer is not None:
            values["provider_id"] = answer.provider_id[:200]
        if status == "bounced" and claimed is not None:
            values["bounced_at"] = now
            performer.address_refused(session, job, claimed.address, "dead")
        if reason == OPTED_OUT and claimed is not None:
            performer.address_refused(session, job, claimed.address, "opted_out")
        names = (row.account, sender_of_body(session, row.channel, row.body_id))
        ledger.count_sending(session, row.channel, names, status, now)
        ledger.count_fate(session, row.once_key, row, row.node, status, reason, {}, now)
        _write(session, message_id, **values)
        append_outcome(
            session,
            engine,
            DeliveryOutcome(job.row, job.program.key, row.node, row.channel, row.template, row.once_key, row.message_class),
            status,
            now,
            reason,
        )
        if status not in ("sent", "uncertain"):
            held_messages.call_up(session, row.contact_id, now)
