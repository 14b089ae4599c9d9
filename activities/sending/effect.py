"""`perform`: one effect activity is one step of a run. Prepare, claim (A), call, answer and advance (B).

The claim is committed before the call, the answer with the advance after it, so a crash at any instant leaves a row that says what is
known. A call without an answer is repeated, looked up or listed as uncertain, as the provider declares: never twice, and every
possibly lost message is listed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from activities.providers.provider import AddressDead, Answer, DeliveryCheck, InDoubt, MessageDead, OptedOut, Provider, RetryLater
from activities.rendering import RenderBusy
from activities.sending import ledger, line, merged, quotas, restored
from activities.sending.attempt import attempt
from activities.sending.breakers import Breakers, Stopped, Turn
from activities.sending.failures import BUSY, HELD, RETRY_LATER, come_back
from activities.sending.gate import Hold, Pass, Refuse
from activities.sending.handler import CannotPrepare, Carried, ChannelHandler, Draft, Job, named
from activities.sending.identity import sender_of_body
from engine.engine import Engine
from engine.interpreter.gate import message_class
from engine.interpreter.state import Instruction, State
from engine.restored import ASSUMED_SENT, PERHAPS_SENT
from engine.runs.delivery import is_heard
from engine.runs.rows import effect, fenced, halt, has_mail, lock_run
from engine.runs.step import Moved, move, step
from engine.temporal.wakeups import Wakeups
from journeys.calls import activity_of, unversioned
from journeys.channels import SENDABLE
from journeys.errors import PfadwerkError, where
from journeys.nodes import Node
from journeys.values import Call, Do, Performed
from models import Run
from storage import held_messages
from storage.events import event_row, insert_events
from storage.run_trail import note_beside
from storage.sql import on, table

log = logging.getLogger(__name__)

runs = table(Run)
_run = select(runs).where(runs.c.id == bindparam("run_id"))
_due = update(runs).where(runs.c.id == bindparam("run_id"))
RENDER_PAUSE = timedelta(seconds=2)
"""Between two looks at a call that another run of the person left without an answer: the keeper finds out in its rounds."""


CARRIED = frozenset({*SENDABLE, "team"})
"""The channels that go through a provider account."""
ACCOUNT_STOPPED, SENDER_STOPPED, ACCOUNT_REMOVED = "account_stopped", "sender_stopped", "account_removed"
MOST_IN_LINE = timedelta(days=30)
"""A message that others always go before is skipped after this; they would not end."""
LOOK_FOR_ACCOUNT = timedelta(minutes=5)
"""How often a message of a removed account looks whether another one carries its channel."""
OPTED_OUT = "suppressed_unsubscribe"
"""As the gate says it: the provider knew before we did."""


class NotServed(PfadwerkError):
    """This worker has nobody for the channel."""

    code = "channel_not_served"


def _none_other(_provider: str, _account: str) -> Provider | None:
    """Where accounts are no rows, there is none but those of the performers."""
    return None


Sharing = Callable[[str, str, str], Sequence[ChannelHandler]]
"""(channel, once key, sender) -> the performers through the accounts that share the channel, in the order in which they are asked; none where one
account carries it."""


def alone(_channel: str, _once_key: str, _sender: str) -> Sequence[ChannelHandler]:
    """Where accounts are no rows, none shares a channel."""
    return ()


@dataclass(frozen=True, slots=True)
class Effects:
    """The engine, who performs which channel now, and which provider accounts take nothing. `find_account` gives the account that made a former
    call (provider, account), None where it is gone."""

    engine: Engine
    performers: Mapping[str, ChannelHandler]
    breakers: Breakers
    find_account: Callable[[str, str], Provider | None] = field(default=_none_other)
    sharing: Sharing = field(default=alone)

    def account(self, channel: str) -> str | None:
        """The provider account that carries the channel, such as `smtp.default`; None for calls that go through none."""
        return self.account_of(self.performers[channel], channel) if channel in CARRIED else None

    def account_of(self, performer: ChannelHandler, channel: str) -> str | None:
        """The account that this performer goes through."""
        if channel not in CARRIED:
            return None
        known = performer.account if isinstance(performer, Carried) else ""
        return known or f"{performer.name}.{self.engine.accounts.get(channel, 'default')}"

    def maker(self, performer: ChannelHandler, provider: str, account: str) -> ChannelHandler | None:
        """Who can say what became of a call that was made through `account`: `performer` itself if it goes there still, else the same one through
        that account; None: nobody can any more."""
        if not isinstance(performer, Carried) or _is_same(performer, provider, account):
            return performer
        found = self.find_account(provider, account)
        if found is None:
            return None
        other: Any = performer.through(account, found)
        made: ChannelHandler = other
        return made

    def turn(
        self, performer: ChannelHandler, channel: str, once_key: str, *, marketing: bool = False, sender: str = ""
    ) -> tuple[ChannelHandler, Turn | Stopped]:
        """Through which account a message goes that certainly has not left, and whether it may: `performer`'s, or where several share the channel, one of
        those (`activities.sending.line`)."""
        if able := self.sharing(channel, once_key, sender):
            return line.choose(self.breakers, able, marketing=marketing, sender=sender)
        return performer, self.breakers.turn(
            self.account_of(performer, channel), performer.timeout_seconds, marketing=marketing, sender=sender
        )

    def performer(self, channel: str) -> ChannelHandler:
        try:
            return self.performers[channel]
        except KeyError:
            raise NotServed("No provider is set up for the channel {channel}: name one in PFADWERK_CHANNELS.", channel=channel) from None


def _is_same(performer: Carried, provider: str, account: str) -> bool:
    """Rows from before accounts had names know their provider only."""
    known = account and performer.account
    return account == performer.account if known else provider in ("", _name(performer))


def _name(performer: Any) -> str:
    name: str = performer.name
    return name


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Transaction A is committed: the call may be made, if it begins before `begin_by` (monotonic seconds)."""

    address: str
    attempt: int
    begin_by: float
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """The call belongs to another of the accounts that share the channel: the one that made it before, or one that has room today."""

    performer: ChannelHandler


def perform(effects: Effects, activity: str, run_id: str, number: int, as_of: datetime) -> Moved:
    """Performs the call the run is blocked on and moves the run; returns the next instruction. Safe to repeat at any time.

    `activity` is the caller's own name: a call of another channel is handed back for its own queue.

    Raises: ApplicationError (held, busy, retry_later) when the activity shall come back; database errors.
    """
    began = time.monotonic()
    found = _find(effects, activity, run_id, number, as_of)
    if isinstance(found, Moved):
        return found
    job, draft = found
    marketing, sender = (draft.is_marketing, draft.sender) if isinstance(draft, Draft) else (False, "")
    effects.breakers.quotas.look()
    performer = effects.performer(job.call.channel)
    performer, turn = effects.turn(performer, job.call.channel, job.once_key, marketing=marketing, sender=sender)
    done = _through(effects, performer, turn, job, draft, began)
    if isinstance(done, Moved):
        return done
    account = effects.account_of(done.performer, job.call.channel)
    turn = effects.breakers.turn(account, done.performer.timeout_seconds, marketing=marketing, sender=sender)
    done = _through(effects, done.performer, turn, job, draft, began, may_turn=False)
    if isinstance(done, Moved):
        return done
    raise come_back(BUSY, "in_flight", RENDER_PAUSE)  # somebody else was faster, and has left it in doubt


def _through(
    effects: Effects,
    performer: ChannelHandler,
    turn: Turn | Stopped,
    job: Job,
    draft: Draft | CannotPrepare,
    began: float,
    *,
    may_turn: bool = True,
) -> Moved | _Elsewhere:
    """The call through one account, if it has its `turn`."""
    if isinstance(turn, Stopped):
        put_off = _put_off(effects.engine, performer, job, draft, turn)
        if put_off is not None:
            return put_off
        turn = Turn(effects.account_of(performer, job.call.channel))
    try:
        claimed = _claim(effects, performer, job, draft, began, may_turn=may_turn)
        if isinstance(claimed, Moved | _Elsewhere):
            return claimed
        assert isinstance(draft, Draft), "what cannot be prepared is not claimed"
        return _call(effects, performer, job, draft, claimed, turn)
    finally:
        effects.breakers.gives_back(turn)


def _put_off(engine: Engine, performer: ChannelHandler, job: Job, draft: Draft | CannotPrepare, stopped: Stopped) -> Moved | None:
    """The message waits until its account takes messages again, at most as long as any may be held. None: it is not one that waits, since a
    former call of it was answered or needs looking after, or it never will be sent.

    Raises: ApplicationError, when it comes back.
    """
    why = SENDER_STOPPED if stopped.name.startswith("@") else ACCOUNT_STOPPED
    with engine.db.write() as session:
        row = lock_run(session, job.row.id)
        if row.step != job.number or row.ended_at is not None:
            return Moved(fenced(session, row, job.number, job.as_of), Wakeups())
        left = _leave_first(engine, session, row, job)
        if left is not None:
            return left
        stands = ledger.look(session, job.once_key, job.as_of, engine.clock.to_real(job.as_of))
        if not isinstance(stands, ledger.Fresh) or isinstance(draft, CannotPrepare):
            return None
        if job.as_of > stands.patient_from + job.program.settings.hold_at_most:
            return _answer_in(session, engine, row, performer, job, "failed", stopped.code)
        if stands.is_new:
            fixed = {**job.fixed, **draft.ledger, **named(performer)}
            ledger.put(session, job.once_key, fixed, job.as_of, is_new=True, reason=why)
        back_at = engine.clock.to_virtual(engine.clock.to_real(job.as_of) + stopped.after)
        on(session).execute(_due, {"run_id": job.row.id, "due_at": back_at})
    raise come_back(RETRY_LATER, why, stopped.after)


def give_up(engine: Engine, run_id: str, number: int, as_of: datetime, error: Exception) -> Moved:
    """The run waits for a person: its call fails in a way that nobody foresaw, however often it is tried."""
    with engine.db.write() as session:
        row = lock_run(session, run_id)
        if row.step != number or row.ended_at is not None:
            return Moved(fenced(session, row, number, as_of), Wakeups())
        log.warning("run %s is stuck at node %s: %s", row.id, row.node, where(error), extra={"run_id": row.id, "node": row.node})
        return Moved(halt(session, row, as_of, "stuck", type(error).__name__, where(error)), Wakeups())


# --- finding the call ------------------------------------------------------------------------------------------------------


Found = tuple[Job, Draft | CannotPrepare]
"""The call, prepared, or why it cannot be; what that means depends on the ledger, because a former attempt may have been sent."""


def _find(effects: Effects, activity: str, run_id: str, number: int, as_of: datetime) -> Moved | Found:
    """The call, after leaving a wait that foretold it; or what the workflow shall do instead."""
    found = _peek(effects, activity, run_id, number, as_of)
    if found is not None:
        return found
    moved = step(effects.engine, run_id, number, as_of)
    if moved.instruction["op"] != "do" or moved.instruction["step"] != number + 1 or moved.wakeups:
        return moved
    return _peek(effects, activity, run_id, number + 1, as_of) or moved


def _peek(effects: Effects, activity: str, run_id: str, number: int, as_of: datetime) -> Found | None:
    """The call if the run is blocked on one of ours at `number`, or at the next number after a foretold wait whose first attempt died."""
    with effects.engine.db.read() as session:
        row = on(session).execute(_run, {"run_id": run_id}).first()
        if row is None or row.ended_at is not None or row.step not in (number, number + 1):
            return None
        state = State.from_json(row.state)
        if not isinstance(state.blocked, Do) or "performed" in row.state:
            return None
        program = effects.engine.program(session, row.version_id)
        call = _pinned(state.blocked.call, program.nodes[state.node])
        if activity not in (activity_of(call.channel), activity_of(unversioned(call.channel))):
            return None
        job = Job(row, program, state, call, row.step, as_of, effects.engine.clock, effects.engine.db)
        return job, _prepared(effects.performer(job.call.channel), session, job)


def _pinned(call: Call, node: Node) -> Call:
    """The call on the channel of the version that the run is pinned to; one planned before channels had versions names none."""
    channel = node.effect_channel
    older = channel is not None and call.channel != channel and call.channel == unversioned(channel)
    return call.model_copy(update={"channel": channel}) if older else call


def _prepared(performer: ChannelHandler, session: Session, job: Job) -> Draft | CannotPrepare:
    try:
        return performer.prepare(session, job)
    except CannotPrepare as error:
        return error
    except RenderBusy as busy:
        raise come_back(BUSY, busy.code, RENDER_PAUSE) from None


# --- transaction A -----------------------------------------------------------------------------------------------------------


def _claim(
    effects: Effects,
    performer: ChannelHandler,
    job: Job,
    draft: Draft | CannotPrepare,
    began: float,
    tries: int = 5,
    *,
    may_turn: bool = True,
) -> Moved | _Claimed | _Elsewhere:
    """Lock, fence, exits, pause, ledger, gate, daily limit, claim. The raise of `come_back` comes after the commit: holding is a fact, too.

    `tries`: how often some of the day's messages are fetched, which other threads may take first. `may_turn`: to another account.
    """
    engine = effects.engine
    with engine.db.write() as session:
        row = lock_run(session, job.row.id)
        if row.step != job.number or row.ended_at is not None:
            return Moved(fenced(session, row, job.number, job.as_of), Wakeups())
        left = _leave_first(engine, session, row, job)
        if left is not None:
            return left
        outcome = _enter_ledger(effects, session, row, performer, job, draft, began)
    if isinstance(outcome, _Full):
        if tries and effects.breakers.quotas.fetch(outcome.names, was_planned=outcome.was_planned):
            return _claim(effects, performer, job, draft, began, tries - 1, may_turn=may_turn)
        if may_turn and (other := _with_room(effects, performer, job, draft, outcome)) is not None:
            return _Elsewhere(other)
        return _plan_anew(effects, performer, job, draft, outcome)
    if isinstance(outcome, _Later):
        real = engine.clock.to_real(outcome.until) - engine.clock.to_real(job.as_of)
        raise come_back(outcome.kind, outcome.code, real)
    if isinstance(outcome, ledger.Doubtful):
        absent = partial(ledger.release, once_key=job.once_key, code="looked_up_absent", attempts=outcome.attempts)
        asked = effects.maker(performer, outcome.provider, outcome.account)
        return _look_up(effects, performer, job, draft, began, absent, asked, may_turn=may_turn)
    if isinstance(outcome, restored.Perhaps):  # the call may have left before a backup was restored
        noted = partial(restored.note, job=job, lost=outcome.lost, assumed="absent")
        return _look_up(effects, performer, job, draft, began, noted, may_turn=may_turn)
    return outcome


def _with_room(effects: Effects, performer: ChannelHandler, job: Job, draft: Draft | CannotPrepare, full: _Full) -> ChannelHandler | None:
    """The next account that takes a message and has room today; the message has not left through `performer`'s."""
    assert isinstance(draft, Draft), "what cannot be prepared takes no room"
    quotas, ours = effects.breakers.quotas, named(performer)["account"]
    if any(quotas.is_full(name) for name in full.names if name != ours):
        return None  # the sender's domain: no other account would change that
    for other in effects.sharing(job.call.channel, job.once_key, draft.sender):
        account = named(other)["account"]
        if account == ours or quotas.is_full(account) or not effects.breakers.takes(account, marketing=draft.is_marketing):
            continue
        if quotas.fetch(_counted_as(other, job, draft), was_planned=full.was_planned):
            return other
    return None


def _leave_first(engine: Engine, session: Session, row: Row[Any], job: Job) -> Moved | None:
    """Exits act before anything leaves; a paused or stopped journey lets nothing leave."""
    state = engine.index(session).state(row.journey_id)
    if state == "stopped" or has_mail(session, row.id):
        moved = move(engine, session, row, job.as_of)
        if moved.instruction["op"] != "do" or moved.instruction["step"] != job.number:
            return moved
    if state == "paused":
        return Moved(halt(session, row, job.as_of, "held", "paused"), Wakeups())
    return None


@dataclass(frozen=True, slots=True)
class _Later:
    kind: str
    code: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Full:
    """The gate lets it through, and this process holds no more of the day's messages of `names`."""

    names: tuple[str, ...]
    was_planned: bool


def _plan_anew(effects: Effects, performer: ChannelHandler, job: Job, draft: Draft | CannotPrepare, full: _Full) -> Moved:
    """No more may leave today: it is held until the same hour of the next day that has room. Where none has in time it is skipped.

    Raises: ApplicationError, when it comes back.
    """
    engine = effects.engine
    with engine.db.write() as session:
        row = lock_run(session, job.row.id)
        if row.step != job.number or row.ended_at is not None:
            return Moved(fenced(session, row, job.number, job.as_of), Wakeups())
        stands = ledger.look(session, job.once_key, job.as_of, engine.clock.to_real(job.as_of))
        if not isinstance(stands, ledger.Fresh) or isinstance(draft, CannotPrepare):  # somebody else was faster
            until, kind, code = engine.clock.later(job.as_of, RENDER_PAUSE), BUSY, "in_flight"
        else:
            last = engine.clock.to_real(stands.patient_from + job.program.settings.hold_at_most)
            at = effects.breakers.quotas.plan(session, full.names, last - engine.clock.to_real(job.as_of))
            if at is None:
                return _answer_in(session, engine, row, performer, job, "skipped", f"held_too_long_{quotas.FULL}")
            until, kind, code = engine.clock.to_virtual(at), HELD, quotas.FULL
            fixed = {**job.fixed, **draft.ledger, **named(performer)}
            ledger.put(session, job.once_key, fixed, job.as_of, status="held", reason=quotas.FULL, held_until=until)
            on(session).execute(_due, {"run_id": job.row.id, "due_at": until})
    raise come_back(kind, code, engine.clock.to_real(until) - engine.clock.to_real(job.as_of))


def _enter_ledger(
    effects: Effects, session: Session, row: Row[Any], performer: ChannelHandler, job: Job, draft: Draft | CannotPrepare, began: float
) -> Moved | _Claimed | _Later | _Full | _Elsewhere | ledger.Doubtful | restored.Perhaps:
    """`Doubtful`, `Perhaps`: the provider must be asked what became of a former call, outside of the transaction. Only the account that made
    the call knows: another one would send it a second time."""
    engine = effects.engine
    stands = ledger.look(session, job.once_key, job.as_of, engine.clock.to_real(job.as_of))
    match stands:
        case ledger.Done(outlet=outlet, data=data):
            return move(engine, session, row, job.as_of, Performed(outlet=outlet, data=data))
        case ledger.InFlight(lease_until=until):
            return _Later(BUSY, "in_flight", engine.clock.to_virtual(until))
        case ledger.Doubtful() if (maker := _other_maker(effects, performer, stands, job, draft)) is not None:
            return _Elsewhere(maker)
        case ledger.Doubtful() if (kind := _delivery_check(effects, performer, stands, job.as_of)) != "idempotent":
            if kind == "lookup":
                return stands
            return _answer_in(session, engine, row, performer, job, "uncertain", "no_answer")
        case ledger.Fresh() if _is_orphan(effects, performer, stands):
            return _wait_for_account(engine, session, row, performer, job, stands)
        case ledger.Doubtful() | ledger.Fresh():
            contact = on(session).execute(merged.contact_of, merged.asking_for(row)).first()
            if contact is not None and contact.has_others and isinstance(stands, ledger.Fresh):
                match merged.made_by_others(session, row, job.state.node, job.state.visit, merged.window_of(job.program)):
                    case merged.Made() as made:
                        return _made_already(session, engine, row, performer, job, made)
                    case merged.Underway(lease_until=until):
                        return _Later(BUSY, merged.UNDERWAY, max(engine.clock.to_virtual(until), job.as_of + merged.AGAIN))
            return _through_gate(effects, session, row, performer, job, draft, stands, began, contact)


def _other_maker(
    effects: Effects, performer: ChannelHandler, stands: ledger.Doubtful, job: Job, draft: Draft | CannotPrepare
) -> ChannelHandler | None:
    """Another of the accounts that share the channel, if that one made the call in doubt: it repeats or looks up its own."""
    if stands.account in ("", named(performer)["account"]):
        return None
    sender = draft.sender if isinstance(draft, Draft) else ""
    able = effects.sharing(job.call.channel, job.once_key, sender)
    return next((one for one in able if named(one)["account"] == stands.account), None)


def _is_orphan(effects: Effects, performer: ChannelHandler, stands: ledger.Fresh) -> bool:
    """Whether it was held to leave through an account that is removed since, and would now reach nobody: who removed the account did not decide
    that. Where nothing was to be reached before, nothing changes."""
    if not isinstance(performer, Carried) or stands.account in ("", performer.account) or performer.reaches_people:
        return False
    return effects.find_account(stands.account.partition(".")[0], stands.account) is None


def _wait_for_account(
    engine: Engine, session: Session, row: Row[Any], performer: ChannelHandler, job: Job, stands: ledger.Fresh
) -> Moved | _Later:
    """Until another account carries the channel, or this one is taken back; at most as long as any message may be held."""
    if job.as_of > stands.patient_from + job.program.settings.hold_at_most:
        return _answer_in(session, engine, row, performer, job, "failed", ACCOUNT_REMOVED)
    until = engine.clock.later(job.as_of, LOOK_FOR_ACCOUNT)
    ledger.put(session, job.once_key, job.fixed, job.as_of, status="planned", reason=ACCOUNT_REMOVED, held_until=None)
    on(session).execute(_due, {"run_id": job.row.id, "due_at": until})
    return _Later(RETRY_LATER, ACCOUNT_REMOVED, until)


def _delivery_check(effects: Effects, performer: ChannelHandler, stands: ledger.Doubtful, now: datetime) -> DeliveryCheck:
    """What can be done about a call without an answer. Through another account it is never repeated, whatever that one promises, nor once the
    provider may have forgotten the key. The call began at the earliest when it was planned; who remembers for no time takes any repeat."""
    maker = effects.maker(performer, stands.provider, stands.account)
    if maker is None:
        return "blind"
    has_forgotten = timedelta(0) < maker.remembers < now - stands.planned_at
    return "blind" if maker.delivery_check == "idempotent" and (maker is not performer or has_forgotten) else maker.delivery_check


def _made_already(session: Session, engine: Engine, row: Row[Any], performer: ChannelHandler, job: Job, made: merged.Made) -> Moved:
    """The run goes on as if the call were its own; its own message is skipped, so that people see why there is none."""
    if job.call.channel in SENDABLE:
        ledger.count_fate(session, job.once_key, row, job.state.node, "skipped", "sent_by_other_run", job.fixed, job.as_of)
    answer = {"outlet": made.outlet, "data": made.data}
    values: dict[str, Any] = {"status": "skipped", "reason": "sent_by_other_run", "held_until": None, "answer": answer}
    ledger.put(session, job.once_key, {**job.fixed, **named(performer)}, job.as_of, **values)
    moved = replace(move(engine, session, row, job.as_of, Performed(outlet=made.outlet, data=made.data)), outcome="skipped")
    for run_id in held_messages.call_up(session, row.contact_id, job.as_of):
        moved.wakeups.wake(run_id)
    return moved


def _through_gate(
    effects: Effects,
    session: Session,
    row: Row[Any],
    performer: ChannelHandler,
    job: Job,
    draft: Draft | CannotPrepare,
    stands: ledger.Fresh | ledger.Doubtful,
    began: float,
    contact: Row[Any] | None,
) -> Moved | _Claimed | _Later | _Full | restored.Perhaps:
    """A doubtful call of an idempotent provider is asked for, too: if it may not be repeated it stays uncertain. A repeated call is one of the
    day's messages already."""
    engine = effects.engine
    dropped = "uncertain" if isinstance(stands, ledger.Doubtful) else "skipped"
    if isinstance(draft, CannotPrepare):
        return _answer_in(session, engine, row, performer, job, dropped, draft.code)
    fixed = {**job.fixed, **draft.ledger, **named(performer)}
    match performer.ask(session, contact, job, draft):
        case Refuse(reason=reason):
            return _answer_in(session, engine, row, performer, job, dropped, reason)
        case Hold(until=until, reason=reason, behind=behind) as verdict:
            if (too_long := _waits_too_long(stands, job, verdict)) is not None:
                return _answer_in(session, engine, row, performer, job, dropped, f"held_too_long_{too_long}")
            if isinstance(stands, ledger.Fresh):
                why: dict[str, Any] = {"reason": reason}
                if behind:
                    why = {"reason": held_messages.IN_LINE, "answer": {ledger.LINE_UNTIL: until.isoformat()}}
                ledger.put(session, job.once_key, fixed, job.as_of, status="held", held_until=until, **why)
            on(session).execute(_due, {"run_id": job.row.id, "due_at": until})
            return Moved(_wait_in_line(engine, job, until), Wakeups()) if behind else _Later(HELD, reason, until)
        case Pass(address=address):
            new = isinstance(stands, ledger.Fresh) and stands.is_new
            is_shared = bool(effects.sharing(job.call.channel, job.once_key, draft.sender))
            perhaps = restored.look(engine, session, row, performer, job, is_shared=is_shared)
            if perhaps is not None:
                return _perhaps_left(engine, session, row, performer, job, draft, stands, perhaps, address)
            names = _counted_as(performer, job, draft) if stands.attempts == 0 else ()
            was_planned = isinstance(stands, ledger.Fresh) and stands.reason == quotas.FULL
            if not draft.is_marketing:
                effects.breakers.quotas.count(session, names)
            elif not effects.breakers.quotas.use(names, was_planned=was_planned):
                return _Full(names, was_planned)
            stored = performer.record(session, job, draft, address)
            lease_until, begin_by = _lease(engine, performer, job, began)
            ledger.claim(session, job.once_key, {**fixed, **stored}, job.as_of, lease_until, stands.attempts + 1, is_new=new)
            return _Claimed(address, stands.attempts + 1, begin_by, stands.planned_at)


def _waits_too_long(stands: ledger.Fresh | ledger.Doubtful, job: Job, verdict: Hold) -> str | None:
    """For what it would wait longer than its journey allows; None: it is held. The time that it stands behind others does not count, so that none is
    lost by them: only what it would wait without them. Behind others it stays no longer than `MOST_IN_LINE`."""
    patient_from = stands.patient_from if isinstance(stands, ledger.Fresh) else stands.planned_at
    if (verdict.alone or verdict.until) > patient_from + job.program.settings.hold_at_most:
        return verdict.reason
    return held_messages.IN_LINE if verdict.behind and verdict.until > stands.planned_at + MOST_IN_LINE else None


def _counted_as(performer: ChannelHandler, job: Job, draft: Draft) -> tuple[str, ...]:
    """Whose daily limits a message takes from."""
    return (named(performer)["account"], draft.sender) if job.call.channel in SENDABLE else ()


def _perhaps_left(
    engine: Engine,
    session: Session,
    row: Row[Any],
    performer: ChannelHandler,
    job: Job,
    draft: Draft,
    stands: ledger.Fresh | ledger.Doubtful,
    perhaps: restored.Perhaps,
    address: str,
) -> Moved | restored.Perhaps:
    """Before a backup was restored. A message is kept as it would leave, and its run goes on; a call with an answer that the run needs leaves
    the run to a person, who has it made or leads the run past it."""
    fixed = {**job.fixed, **draft.ledger, **named(performer)}
    new = isinstance(stands, ledger.Fresh) and stands.is_new
    if perhaps.what == "look_up":
        if new:
            ledger.put(session, job.once_key, fixed, job.as_of, is_new=True, reason=PERHAPS_SENT)
        return perhaps
    if job.call.channel not in CARRIED and (perhaps.what == "ask" or "sent" not in performer.outlets):
        return _stick(session, row, job, performer, PERHAPS_SENT)
    kept = performer.record(session, job, draft, address)
    ledger.claim(session, job.once_key, {**fixed, **kept}, job.as_of, engine.clock.to_real(job.as_of), stands.attempts, is_new=new)
    if perhaps.what == "ask":
        return _answer_in(session, engine, row, performer, job, "uncertain", PERHAPS_SENT)
    return _answer_in(session, engine, row, performer, job, "sent", ASSUMED_SENT)


def _wait_in_line(engine: Engine, job: Job, until: datetime) -> Instruction:
    """The call is made at `until`, or asked for again when a wake-up says that somebody before it has gone away; an activity's retry hears none.

    The row keeps its `do`: whoever looks there performs the call, and the gate decides anew.
    """
    real = engine.clock.to_real(until).isoformat()
    return {"op": "wait", "step": job.number, "until": real, "then": effect(engine, job.call.channel), "in_line": True}


def _lease(engine: Engine, performer: ChannelHandler, job: Job, began: float) -> tuple[datetime, float]:
    """Until when (real time) the claim holds, and by when the call must have begun to be over before that. Counted from now, not from the attempt's
    start: waiting for locks must not eat it up."""
    now = time.monotonic()
    real = engine.clock.to_real(job.as_of) + timedelta(seconds=now - began + performer.timeout_seconds) + ledger.MARGIN
    return real, now + ledger.MARGIN.total_seconds()


# --- the call ------------------------------------------------------------------------------------------------------------------


def _call(effects: Effects, performer: ChannelHandler, job: Job, draft: Draft, claimed: _Claimed, turn: Turn) -> Moved:
    """Makes the call and sorts what comes back. A process that stood still after its claim may no longer be the only one at it."""
    engine = effects.engine
    began = time.monotonic()
    if began > claimed.begin_by:
        return _later(engine, performer, job, claimed, RetryLater("stalled", ledger.MARGIN))
    send = partial(_send, engine, performer, job, draft, claimed)
    match attempt(effects.breakers, turn, claimed.address, claimed.attempt, send):
        case RetryLater() as failure:
            return _later(engine, performer, job, claimed, failure)
        case InDoubt(code=code):
            is_late = job.as_of > claimed.planned_at + job.program.settings.hold_at_most
            if performer.delivery_check == "blind" or is_late:
                return _answer(engine, performer, job, "uncertain", code)
            raise come_back(BUSY, code, _doubt_lasts(performer, claimed.attempt)) from None
        case AddressDead(code=code):
            return _answer(engine, performer, job, "bounced", code, address=claimed.address)
        case OptedOut():
            return _answer(engine, performer, job, "skipped", OPTED_OUT, address=claimed.address)
        case MessageDead(code=code):
            return _answer(engine, performer, job, "failed", code)
        case answer:
            return _answer(engine, performer, _answered(engine, job, began), answer.status, answer.kind, answer)


def _doubt_lasts(performer: ChannelHandler, attempt: int) -> timedelta:
    """Until a call without an answer is repeated or asked about: its claim is over by then. Longer the more often it was, because an address may be
    one that never answers (a stranger's device). With 8 s: 10 s four times, then 20, 40 … and 21 minutes from the tenth on."""
    return (timedelta(seconds=performer.timeout_seconds) + ledger.MARGIN) * (1 << min(max(0, attempt - 4), 7))


def _send(engine: Engine, performer: ChannelHandler, job: Job, draft: Draft, claimed: _Claimed) -> Answer:
    channel, message_id = job.call.channel, ledger.message_id_of(job.once_key)
    with engine.tracing.span("call provider", kind="client", channel=channel, message_id=message_id) as span:
        span.note(provider=performer.name, attempt=claimed.attempt)
        answer = performer.send(job, draft, claimed.address, claimed.attempt)
        span.note(outcome=answer.status)
    return answer


def _answered(engine: Engine, job: Job, began: float) -> Job:
    """The job at the instant of the answer, to the second: what follows must see what happened during a long call."""
    took = timedelta(seconds=int(time.monotonic() - began))
    return replace(job, as_of=engine.clock.to_virtual(engine.clock.to_real(job.as_of) + took))


def _later(engine: Engine, performer: ChannelHandler, job: Job, claimed: _Claimed, failure: RetryLater) -> Moved:
    """Certainly not sent: free the claim and come back, unless it has been tried for too long."""
    with engine.db.write() as session:
        row = lock_run(session, job.row.id)
        ledger.release(session, job.once_key, failure.code, claimed.attempt)
        stands = ledger.look(session, job.once_key, job.as_of, engine.clock.to_real(job.as_of))
        if row.step == job.number and row.ended_at is None:
            on(session).execute(_due, {"run_id": job.row.id, "due_at": engine.clock.later(job.as_of, failure.after)})
            note_beside(session, row, "attempt", job.as_of, {"reason": failure.code[:64]})
    if isinstance(stands, ledger.Fresh) and job.as_of > stands.patient_from + job.program.settings.hold_at_most:
        return _answer(engine, performer, job, "failed", failure.code)
    raise come_back(RETRY_LATER, failure.code, failure.after) from None


Note = Callable[[Session], None]
"""Writes down that the provider does not know a call."""


def _look_up(
    effects: Effects,
    performer: ChannelHandler,
    job: Job,
    draft: Draft | CannotPrepare,
    began: float,
    absent: Note,
    asked: ChannelHandler | None = None,
    *,
    may_turn: bool,
) -> Moved | _Claimed | _Elsewhere:
    """The provider (`asked`, where it is another than would be called now) knows it: answered. It does not: certainly not sent, so the whole gate
    again; the note of that comes before the claim."""
    engine = effects.engine
    try:
        known = (asked or performer).lookup(job.once_key)
    except RetryLater as failure:
        raise come_back(RETRY_LATER, failure.code, failure.after) from None
    if known is not None:
        return _answer(engine, performer, job, known.status, known.kind, known)
    with engine.db.write() as session:
        lock_run(session, job.row.id)
        absent(session)
    return _claim(effects, performer, job, draft, began, may_turn=may_turn)


# --- transaction B ---------------------------------------------------------------------------------------------------------------


def _answer(
    engine: Engine, performer: ChannelHandler, job: Job, status: str, reason: str, answer: Answer | None = None, address: str = ""
) -> Moved:
    with engine.db.write() as session:
        row = lock_run(session, job.row.id)
        return _answer_in(session, engine, row, performer, job, status, reason, answer, address)


def _answer_in(
    session: Session,
    engine: Engine,
    row: Row[Any],
    performer: ChannelHandler,
    job: Job,
    status: str,
    reason: str,
    answer: Answer | None = None,
    address: str = "",
) -> Moved:
    """Writes the answer, and advances the run unless it has gone on or ended meanwhile. The answer stays even if the run gets stuck."""
    fate = {"sent": "sent", "uncertain": "sent", "skipped": "skipped"}.get(status, "failed")
    given = (answer.raw.get("outlet") if answer else None) or performer.outlets.get(fate)
    if given is None:
        return _stick(session, row, job, performer, reason)
    data = {"message_id": ledger.message_id_of(job.once_key), "status": status, **({"reason": reason} if reason else {})}
    data |= dict(answer.raw.get("data", {})) if answer else {}
    values: dict[str, Any] = {"status": status, "reason": reason[:64], "lease_until": None, "answer": {"outlet": given, "data": data}}
    if fate == "sent":
        values["sent_at"] = job.as_of
    else:
        values["mailbox_key"] = None  # it has not gone to that mailbox, so another may
    if status == "bounced":
        values["bounced_at"] = job.as_of
        performer.address_refused(session, job, address, "dead")
    if reason == OPTED_OUT and address:
        performer.address_refused(session, job, address, "opted_out")
    if answer is not None:
        values["provider_id"] = answer.provider_id[:200]
    if job.call.channel in SENDABLE:
        sender = sender_of_body(session, job.call.channel, ledger.body_of(session, job.once_key))
        ledger.count_sending(session, job.call.channel, (named(performer)["account"], sender), status, job.as_of)
        ledger.count_fate(session, job.once_key, row, job.state.node, status, reason, job.fixed, job.as_of)
    ledger.put(session, job.once_key, {**job.fixed, **named(performer)}, job.as_of, **values)
    template, its_class = str(job.call.input.get("template", "")), message_class(job.call.input, job.program.settings)
    about = DeliveryOutcome(job.row, job.program.key, job.state.node, job.call.channel, template, job.once_key, its_class)
    append_outcome(session, engine, about, status, job.as_of, reason)
    moved = replace(_go_on(session, engine, row, job, Performed(outlet=given, data=data)), outcome=status)
    if fate != "sent" and job.call.channel in SENDABLE:
        for run_id in held_messages.call_up(session, row.contact_id, job.as_of):
            moved.wakeups.wake(run_id)
    return moved


def _stick(session: Session, row: Row[Any], job: Job, performer: ChannelHandler, reason: str) -> Moved:
    """A call that failed for good and has no way out for that: the run waits for a person, who may have it tried afresh."""
    ledger.put(
        session,
        job.once_key,
        {**job.fixed, **named(performer)},
        job.as_of,
        status="planned",
        reason=reason[:64],
        attempts=0,
        claimed_at=None,
        mailbox_key=None,
    )
    if row.ended_at is not None or row.step != job.number:
        return Moved(row.instruction, Wakeups())
    return Moved(halt(session, row, job.as_of, "stuck", reason[:200]), Wakeups())


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """A message whose end is known: its run's row and what its event tells."""

    run: Row[Any]
    journey: str
    node: str
    channel: str
    template: str
    once_key: str
    message_class: str


FATES = {"sent": "Message Sent", "uncertain": "Message Sent", "bounced": "Message Bounced", "skipped": "Message Skipped"}
"""Status of a message -> the event that tells of it."""


def append_outcome(session: Session, engine: Engine, fate: DeliveryOutcome, status: str, now: datetime, reason: str = "") -> None:
    """What happened to the message, as an event of the contact; the keeper routes it if anybody listens. Other calls are no messages.

    `reason` is a code and tells why a message was skipped or bounced.
    """
    name = FATES.get(status)
    if name is None or fate.channel not in SENDABLE:
        return
    message_id = ledger.message_id_of(fate.once_key)
    with engine.tracing.span("message", message_id=message_id, channel=fate.channel, node=fate.node, outcome=status):
        trace = engine.tracing.here()
    properties = {
        "message_id": message_id,
        "run_id": fate.run.id,
        "journey": fate.journey,
        "node": fate.node,
        "template": fate.template,
        "channel": fate.channel,
        "message_class": fate.message_class,
        "machine": False,
        **({"reason": reason} if reason and status in ("skipped", "bounced") else {}),
        **({"bounce": "hard"} if status == "bounced" else {}),
    }
    heard = is_heard(engine, session, fate.run.contact_id, name)
    key = f"{name}:{message_id}"
    event = event_row(
        "system",
        name,
        properties,
        received_at=now,
        source="system",
        message_id=key,
        hops=fate.run.hops + 1,
        routed=not heard,
        trace=trace,
    )
    insert_events(session, [{**event, "contact_id": fate.run.contact_id}])


def _go_on(session: Session, engine: Engine, row: Row[Any], job: Job, performed: Performed) -> Moved:
    state = State.from_json(row.state)
    if row.ended_at is not None or not isinstance(state.blocked, Do) or (state.node, state.visit) != (job.state.node, job.state.visit):
        stored: Instruction = row.instruction
        return Moved(stored, Wakeups())
    return move(engine, session, row, job.as_of, performed)
