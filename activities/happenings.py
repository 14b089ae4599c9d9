"""What became of a message after it left, told by its provider: written to the ledger's row and the contact, with the event that says so.

Works inside the caller's transaction, takes the contact's row first, and changes nothing when the same is told again. It never makes a contact,
and routes nothing: the events are handed back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Literal

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.providers.callback import Happening
from activities.sending import ledger
from activities.sending.identity import sender_of_body
from activities.tracking import Level, record_read
from crm import uncertain
from crm.consent import consent, suppression
from crm.consent.opt_out import opt_out
from engine.temporal.wakeups import Wakeups
from journeys.channels import SENDABLE
from models import Body, Event, Journey, Message, Run
from storage import held_messages, sending_counts
from storage.events import append_event
from storage.locks import lock_contact
from storage.sql import on, table
from workspace import settings

Recorded = Literal["taken", "known", "kept", "too_early", "unknown"]
"""`kept`: it is taken once the answer is written down; `known`: it changes nothing any more; `too_early`: the answer to the send is not written down
yet; `unknown`: no message of this account."""

stored, journeys, messages, runs = table(Event), table(Journey), table(Message), table(Run)
EVENTS = {
    "delivered": "Message Delivered",
    "bounced": "Message Bounced",
    "soft_bounced": "Message Bounced",
    "complained": "Message Complained",
}
"""What is told -> the event of the contact; a message that failed has none."""
STOPS = {"bounced": "hard_bounce", "complained": "complaint"}
"""What is told -> why its address gets nothing more on this channel."""
LEFT = ("sent", "uncertain", "delivered")
TAKEN: Mapping[str, Sequence[str]] = {
    "sent": ("uncertain",),
    "delivered": LEFT,
    "bounced": LEFT,
    "soft_bounced": ("sent", "uncertain"),
    "failed": ("sent", "uncertain"),
    "opted_out": ("sent", "uncertain"),
    "complained": (*LEFT, "bounced"),
}
"""What is told -> where the message must stand for it to change anything: reports come in any order, and nothing goes back. A complaint may
follow a bounce (a forwarded mail)."""
RATES: Mapping[str, sending_counts.What] = {"bounced": "bounced", "complained": "complained"}
"""What is told -> what counts against the account (`workspace.sending_rates`)."""
ENDS = {"bounced": "bounced", "soft_bounced": "failed", "failed": "failed", "opted_out": "failed"}
"""What is told -> how the message has ended."""
ANY = "inbound"
"""Stands for the account where a mail that came back proves by itself which message it is about (`activities.inbound`)."""
EARLY = timedelta(hours=1)
"""A message that is unknown by then is not going to be known."""

Told = tuple[Recorded, Sequence[Event], Sequence[str]]
"""How it went, the events that must be routed, and the runs whose messages need not wait for this one any more."""


Route = Callable[[Session, Sequence[Event], datetime], Wakeups]
"""Routes events inside the transaction that has stored them (`engine.enrolment.routing.routed`): whoever composes gives it, since nothing here
starts anything."""


@dataclass(frozen=True, slots=True)
class Streak:
    """After so many soft bounces within that time, with no delivery since the first, an address counts as dead."""

    count: int
    within: timedelta


def record(
    session: Session, keys: Sequence[bytes], account: str, happening: Happening, streak: Streak, now: datetime, most: Level = "full"
) -> Told:
    """`most`: what the operator lets us measure. `keys` hash suppressed addresses. That an address is dead or angry counts wherever its message stands: one that shall be sent again stays
    as it is, and the gate finds the address suppressed."""
    found = find(session, account, happening)
    if found is None:
        early = happening.at is None or now - happening.at < EARLY
        return ("too_early" if early and (happening.provider_id or account == ANY) else "unknown"), (), ()
    account = found.account or account
    is_erased = lock_contact(session, found.contact_id).erased_at is not None
    message = session.get_one(Message, found.id, populate_existing=True)
    if is_erased or message.test or message.channel not in SENDABLE:
        return "known", (), ()
    if message.status == "claimed":
        return "too_early", (), ()
    if happening.kind == "read":
        return _read(session, message, most, now)
    goes_on = message.status in TAKEN[happening.kind] or _left_after_all(message, happening)
    if not goes_on and (happening.kind not in STOPS or happening.kind == message.status):
        return "known", (), ()
    if _is_told(session, message, happening.kind):
        return "known", (), ()
    woken = _write(session, message, happening, now) if goes_on else ()
    if happening.kind in RATES and (goes_on or happening.kind == "complained"):
        for name in (message.account, sender_of_body(session, message.channel, message.body_id)):
            sending_counts.note(session, name, RATES[happening.kind], now)
    bounce = {"bounced": "hard", "soft_bounced": "soft"}.get(happening.kind, "")
    if happening.kind in STOPS:
        _suppress(session, keys, account, message, STOPS[happening.kind], now)
    elif bounce and _is_streak(session, message, streak, now):
        bounce = "streak"
        _suppress(session, keys, account, message, "bounce_streak", now)
    events = _opted_out(session, account, message, happening, now) if happening.kind == "opted_out" else []
    events += _events(session, message, happening, bounce, now)
    if happening.kind == "complained" and settings.load(session, settings.Complaints).everywhere:
        proof = {"message_id": message.id, "account": account}
        events += consent.object_all(session, message.contact_id, now, source="complaint", proof=proof)
    session.flush()
    return "taken", events, woken


def _read(session: Session, message: Message, most: Level, now: datetime) -> Told:
    """Once, of a message that has left."""
    if message.opened_at is not None or message.status not in LEFT:
        return "known", (), ()
    event = record_read(session, message.id, most, now)
    return ("taken", (event,), ()) if event is not None else ("known", (), ())


_ours = sql_select(messages.c.id, messages.c.contact_id, messages.c.account, messages.c.status)
_by_id = _ours.where(messages.c.id == bindparam("message_id"))
_by_provider_id = _ours.where(messages.c.provider == bindparam("by"), messages.c.provider_id == bindparam("provider_id")).limit(1)


def find(session: Session, account: str, happening: Happening) -> Any:
    """Id, contact, account and status of the message, if it is one that this account carried: another one's word counts for nothing. `ANY`: whoever
    carried it; None: there is none."""
    if happening.message_id:
        row: Any = on(session).execute(_by_id, {"message_id": happening.message_id[:32]}).first()
    elif happening.provider_id:
        named = {"by": account.partition(".")[0], "provider_id": happening.provider_id[:200]}
        row = on(session).execute(_by_provider_id, named).first()
    else:
        row = None
    return row if row is not None and account in (row.account, ANY) else None


def _left_after_all(message: Message, happening: Happening) -> bool:
    """Nobody knew, so a person wants it sent again; but it has left, and need not."""
    return message.status == "held" and message.reason == held_messages.AGAIN and happening.kind in ("sent", "delivered")


def _write(session: Session, message: Message, happening: Happening, now: datetime) -> Sequence[str]:
    message.provider_id = message.provider_id or happening.provider_id[:200]
    if happening.kind in ("sent", "delivered"):
        if message.status == "held":
            _count_again(session, message, now)
        message.status, message.reason, message.held_until = happening.kind, "", None
        return ()
    end = ENDS.get(happening.kind)
    if end is None:
        return ()
    if message.journey_id is not None:
        ledger.count_fate(session, message.once_key, message, message.node, end, happening.code, {}, now)  # type: ignore[arg-type]
    message.status, message.reason, message.mailbox_key = end, happening.code[:64], None
    if happening.kind in ("bounced", "soft_bounced"):
        message.bounced_at = now
    session.flush()
    return held_messages.call_up(session, message.contact_id, now)


def _count_again(session: Session, message: Message, now: datetime) -> None:
    """Whoever wanted it sent again had it taken out of the count, and said that it had not left."""
    if message.journey_id is not None:
        ledger.count_fate(session, message.once_key, message, message.node, "sent", "", {}, message.sent_at or now)  # type: ignore[arg-type]
    uncertain.was_sent(session, message.id)


def _suppress(session: Session, keys: Sequence[bytes], account: str, message: Message, reason: str, now: datetime) -> None:
    """The address that the message went to, which need not be the contact's present one; unknown once its body is gone."""
    body = session.get(Body, message.body_id) if message.body_id else None
    if body is not None and body.recipient:
        suppression.suppress(session, keys, message.channel, body.recipient, reason, now, source=f"provider:{account}")


def _is_streak(session: Session, message: Message, streak: Streak, now: datetime) -> bool:
    """Whether the address has bounced softly so often in a row: a message that was delivered there breaks it."""
    address = select(Body.recipient).where(col(Body.id) == message.body_id).scalar_subquery()
    there = (
        col(Message.contact_id) == message.contact_id,
        col(Message.channel) == message.channel,
        col(Message.sent_at) >= now - streak.within,
    )
    rows = session.execute(
        select(Message.status, Message.bounced_at)
        .join(Body, col(Body.id) == col(Message.body_id))
        .where(*there, col(Body.recipient) == address)
        .order_by(col(Message.sent_at).desc())
        .limit(20 * streak.count)
    )
    ends = [status for status, bounced_at in rows if status == "delivered" or (status == "failed" and bounced_at is not None)]
    return len(list(takewhile(lambda status: status == "failed", ends))) >= streak.count


def _opted_out(session: Session, account: str, message: Message, happening: Happening, now: datetime) -> list[Event]:
    """Its owner told the provider; the address is the one that the message went to."""
    body = session.get(Body, message.body_id) if message.body_id else None
    if body is None or not body.recipient:
        return []
    proof = {"message_id": message.id, "code": happening.code[:64]}
    return opt_out(
        session, message.contact_id, message.channel, body.recipient, now, by=account, proof=proof, hops=hops_of(session, message)
    )


def _key(message: Message, kind: str) -> str:
    """Names the event of this kind; a message may bounce hard after it has bounced softly."""
    return f"{EVENTS[kind]}:{message.id}" + (":soft" if kind == "soft_bounced" else "")


_told = sql_select(stored.c.id).where(stored.c.source == "system", stored.c.message_id == bindparam("key"))


def _is_told(session: Session, message: Message, kind: str) -> bool:
    if kind not in EVENTS:
        return False
    return on(session).execute(_told, {"key": _key(message, kind)}).first() is not None


def _events(session: Session, message: Message, happening: Happening, bounce: str, now: datetime) -> list[Event]:
    """The event of a message and a kind of which there is none yet; none where the kind has none. Whoever has them recorded routes them at once."""
    if happening.kind not in EVENTS:
        return []
    properties = {
        **properties_of(session, message),
        **({"bounce": bounce} if bounce else {}),
        **({"reason": happening.code[:64]} if happening.code else {}),
    }
    event = append_event(
        session,
        message.contact_id,
        "system",
        EVENTS[happening.kind],
        properties,
        now,
        message_id=_key(message, happening.kind),
        occurred_at=happening.at or now,
        hops=hops_of(session, message),
        routed=True,
        is_new=True,
    )
    return [event]


def properties_of(session: Session, message: Message) -> dict[str, object]:
    """What every event about a message says of it."""
    return {
        "message_id": message.id,
        "run_id": message.run_id,
        "journey": _journey_key(session, message),
        "node": message.node,
        "template": message.template,
        "channel": message.channel,
        "message_class": message.message_class,
        "machine": False,
    }


_hops = sql_select(runs.c.hops).where(runs.c.id == bindparam("run_id"))
_key_of_journey = sql_select(journeys.c.key).where(journeys.c.id == bindparam("journey_id"))


def hops_of(session: Session, message: Message) -> int:
    """How far an event about the message is from what nobody of ours set off."""
    hops = on(session).execute(_hops, {"run_id": message.run_id}).scalar() if message.run_id else 0
    return (hops or 0) + 1


def _journey_key(session: Session, message: Message) -> str:
    """Empty for a message that no journey sent."""
    found = on(session).execute(_key_of_journey, {"journey_id": message.journey_id}).scalar() if message.journey_id else None
    return found or ""
