"""The gate: whether a message may leave now, must wait, or may never leave. Asked in the transaction that would claim it.

The order is fixed, and the first refusal is the reason that is recorded: contact, address, consent, suppression; then the earliest
instant that satisfies quiet hours and frequency caps together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Row, bindparam, func, or_, select
from sqlalchemy.orm import Session

from crm import consent, settings, suppression
from crm.sql import table
from engine.advance import zone_of
from journeys.clock import earliest_allowed, next_opening
from journeys.document import QuietHours
from models import Contact, Message

messages = table(Message)
LOOK_AHEAD = 50
"""Rounds in which quiet hours and caps may push each other on, before the gate gives up for now."""
COUNTED = ("claimed", "sent", "delivered", "uncertain")

_former = (
    select(func.coalesce(messages.c.sent_at, messages.c.claimed_at))
    .where(
        messages.c.contact_id == bindparam("of_contact"),
        messages.c.cap_class == bindparam("of_class"),
        messages.c.status.in_(COUNTED),
        messages.c.test.is_(False),
        messages.c.id != bindparam("me"),
        or_(messages.c.sent_at > bindparam("since"), messages.c.sent_at.is_(None)),
    )
    .order_by(func.coalesce(messages.c.sent_at, messages.c.claimed_at).desc())
)
_before_me = select(func.count()).where(
    messages.c.contact_id == bindparam("of_contact"),
    messages.c.cap_class == bindparam("of_class"),
    messages.c.status == "held",
    messages.c.priority < bindparam("than"),
    messages.c.id != bindparam("me"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message that wants out. `priority` 1 is the most important; `fallback_zone` serves contacts without a zone."""

    message_id: str
    channel: str
    purpose: str
    message_class: str
    cap_class: str
    priority: int
    quiet_hours: QuietHours | None
    fallback_zone: str


@dataclass(frozen=True, slots=True)
class Pass:
    """It may leave now, to this address."""

    address: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may never leave. Reasons: no_contact, no_address, no_consent, suppressed_<why>."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """It may leave at `until` at the earliest. Reasons: quiet_hours, frequency_cap."""

    until: datetime
    reason: str


Verdict = Pass | Refuse | Hold


def ask(session: Session, contact: Contact | Row[Any] | None, wanted: Wanted, address_keys: Sequence[bytes], now: datetime) -> Verdict:
    """The verdict for `contact`, whose row the caller has locked."""
    if contact is None or contact.erased_at is not None or contact.merged_into is not None:
        return Refuse("no_contact")
    address = address_of(contact, wanted.channel)
    if not address:
        return Refuse("no_address")
    marketing = wanted.message_class == "marketing"
    if marketing and consent.state(session, contact.id, wanted.channel, wanted.purpose) != "granted":
        return Refuse("no_consent")
    if (why := suppression.is_suppressed(session, address_keys, wanted.channel, address)) and (marketing or why != "unsubscribe"):
        return Refuse(f"suppressed_{why}")
    return _earliest(session, contact, wanted, now) or Pass(address)


def address_of(contact: Contact | Row[Any], channel: str) -> str | None:
    """Where the channel reaches the contact."""
    return contact.email if channel == "email" else contact.phone if channel in ("sms", "whatsapp") else contact.id


def _earliest(session: Session, contact: Contact | Row[Any], wanted: Wanted, now: datetime) -> Hold | None:
    """The first instant at which it is neither quiet nor too much; None if that is now. Transactional messages do not wait."""
    if wanted.message_class != "marketing":
        return None
    zone = zone_of(contact.timezone, wanted.fallback_zone)
    at, reason = now, ""
    for _ in range(LOOK_AHEAD):
        loud = _after_quiet_hours(session, wanted, zone, at)
        free = _after_caps(session, contact.id, wanted, loud)
        reason = "frequency_cap" if free > loud else "quiet_hours" if loud > at else reason
        if free == at:
            break
        at = free
    return Hold(at, reason) if at > now else None


def _after_quiet_hours(session: Session, wanted: Wanted, zone: tzinfo, at: datetime) -> datetime:
    """The journey's quiet hours where it has some, else the workspace's."""
    if wanted.quiet_hours is not None:
        return earliest_allowed(at, wanted.quiet_hours, zone)
    workspace = settings.load(session, settings.QuietHours)
    if not workspace.enabled or workspace.start == workspace.end:
        return at
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    loud_days = [day for day, name in enumerate(names) if name not in workspace.days]
    return next_opening(at, loud_days, workspace.end, workspace.start, zone) if loud_days else at + timedelta(days=7)


def _after_caps(session: Session, contact_id: str, wanted: Wanted, at: datetime) -> datetime:
    caps = [cap for cap in settings.load(session, settings.FrequencyCaps).caps if cap.cap_class == wanted.cap_class]
    if not caps:
        return at
    longest = max(cap.per for cap in caps)
    values = {"of_contact": contact_id, "of_class": wanted.cap_class, "me": wanted.message_id}
    former = [moment.astimezone(UTC) for moment in session.scalars(_former, {**values, "since": at - longest}) if moment is not None]
    first_in_line = session.execute(_before_me, {**values, "than": wanted.priority}).scalar_one()
    for cap in caps:
        left = cap.count - first_in_line
        recent = [moment for moment in former if moment > at - cap.per]
        if left <= 0:
            at = max(at, (recent[-1] if recent else at) + cap.per)
        elif len(recent) >= left:
            at = max(at, recent[left - 1] + cap.per)
    return at


__all__ = ["Hold", "Pass", "Refuse", "Verdict", "Wanted", "address_of", "ask"]
