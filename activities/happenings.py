"""What became of a message after it left, told by its provider: written to the ledger's row and the contact, with the event that says so.

Works inside the caller's transaction, takes the contact's row first, and changes nothing when the same is told again. It never makes a contact,
and routes nothing: the event is handed back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.providers.callback import Happening
from activities.sending import ledger
from crm.consent import suppression
from journeys.channels import SENDABLE
from models import Body, Event, Journey, Message, Run
from storage import held_messages
from storage.events import append_event
from storage.locks import lock_contact

Recorded = Literal["taken", "known", "too_early", "unknown"]
"""`known`: it changes nothing any more; `too_early`: the answer to the send is not written down yet; `unknown`: no message of this account."""

EVENTS = {"delivered": "Message Delivered", "bounced": "Message Bounced", "complained": "Message Complained"}
"""What is told -> the event of the contact; a message that failed has none."""
STOPS = {"bounced": "hard_bounce", "complained": "complaint"}
"""What is told -> why its address gets nothing more on this channel."""
LEFT = ("sent", "uncertain", "delivered")
TAKEN: Mapping[str, Sequence[str]] = {
    "sent": ("uncertain",),
    "delivered": LEFT,
    "bounced": LEFT,
    "failed": ("sent", "uncertain"),
    "complained": (*LEFT, "bounced"),
}
"""What is told -> where the message must stand for it to change anything: reports come in any order, and nothing goes back. A complaint may
follow a bounce (a forwarded mail)."""
EARLY = timedelta(minutes=10)
"""A message that is unknown by then is not going to be known."""

Told = tuple[Recorded, Event | None, Sequence[str]]
"""How it went, the event that must be routed, and the runs whose messages need not wait for this one any more."""


def record(session: Session, keys: Sequence[bytes], account: str, happening: Happening, now: datetime) -> Told:
    """`keys` hash suppressed addresses. That an address is dead or angry counts wherever its message stands: one that shall be sent again stays
    as it is, and the gate finds the address suppressed."""
    message = _find(session, account, happening)
    if message is None:
        early = happening.at is None or now - happening.at < EARLY
        return ("too_early" if early and happening.provider_id else "unknown"), None, ()
    if lock_contact(session, message.contact_id).erased_at is not None or message.test or message.channel not in SENDABLE:
        return "known", None, ()
    session.refresh(message)
    if message.status == "claimed":
        return "too_early", None, ()
    goes_on = message.status in TAKEN[happening.kind] or _left_after_all(message, happening)
    if not goes_on and (happening.kind not in STOPS or happening.kind == message.status):
        return "known", None, ()
    event = _event(session, message, happening, now)
    if event is None and happening.kind in EVENTS:
        return "known", None, ()
    woken = _write(session, message, happening, now) if goes_on else ()
    if happening.kind in STOPS:
        _suppress(session, keys, account, message, STOPS[happening.kind], now)
    session.flush()
    return "taken", event, woken


def _find(session: Session, account: str, happening: Happening) -> Message | None:
    """The message, if it is one that this account carried: another one's word counts for nothing."""
    provider = account.partition(".")[0]
    if happening.message_id:
        message = session.get(Message, happening.message_id[:32])
    elif happening.provider_id:
        named = (col(Message.provider) == provider, col(Message.provider_id) == happening.provider_id[:200])
        message = session.scalar(select(Message).where(*named).limit(1))
    else:
        message = None
    return message if message is not None and message.account == account else None


def _left_after_all(message: Message, happening: Happening) -> bool:
    """Nobody knew, so a person wants it sent again; but it has left, and need not."""
    return message.status == "held" and message.reason == held_messages.AGAIN and happening.kind in ("sent", "delivered")


def _write(session: Session, message: Message, happening: Happening, now: datetime) -> Sequence[str]:
    message.provider_id = message.provider_id or happening.provider_id[:200]
    if happening.kind in ("sent", "delivered"):
        message.status, message.reason, message.held_until = happening.kind, "", None
        return ()
    if happening.kind not in ("bounced", "failed"):
        return ()
    if message.journey_id is not None:
        ledger.count_fate(session, message.once_key, message, message.node, happening.kind, happening.code, {}, now)  # type: ignore[arg-type]
    message.status, message.reason, message.mailbox_key = happening.kind, happening.code[:64], None
    if happening.kind == "bounced":
        message.bounced_at = now
    return held_messages.call_up(session, message.contact_id, now)


def _suppress(session: Session, keys: Sequence[bytes], account: str, message: Message, reason: str, now: datetime) -> None:
    """The address that the message went to, which need not be the contact's present one; unknown once its body is gone."""
    body = session.get(Body, message.body_id) if message.body_id else None
    if body is not None and body.recipient:
        suppression.suppress(session, keys, message.channel, body.recipient, reason, now, source=f"provider:{account}")


def _event(session: Session, message: Message, happening: Happening, now: datetime) -> Event | None:
    """The event, once for each message and kind; None where it is known, or there is none."""
    name = EVENTS.get(happening.kind)
    if name is None:
        return None
    key = f"{name}:{message.id}"
    if session.scalar(select(Event.id).where(col(Event.source) == "system", col(Event.message_id) == key)) is not None:
        return None
    properties = {
        "message_id": message.id,
        "run_id": message.run_id,
        "journey": _journey_key(session, message),
        "node": message.node,
        "template": message.template,
        "channel": message.channel,
        "machine": False,
        **({"reason": happening.code[:64]} if happening.code else {}),
    }
    hops = session.scalar(select(Run.hops).where(col(Run.id) == message.run_id)) if message.run_id else 0
    return append_event(
        session, message.contact_id, "system", name, properties, now, message_id=key, occurred_at=happening.at or now, hops=(hops or 0) + 1
    )


def _journey_key(session: Session, message: Message) -> str:
    """Empty for a message that no journey sent."""
    found = session.scalar(select(Journey.key).where(col(Journey.id) == message.journey_id)) if message.journey_id else None
    return found or ""
