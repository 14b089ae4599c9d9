"""What the gate must know, gathered from the database in the transaction that would claim the message; `engine.interpreter.gate` decides.

A message costs six statements at most: consent, suppression, the word of the mailbox, what has left, what waits, and once a transaction
whether settings have changed. Each names its contacts by a condition that takes many as well as one, so a page of them needs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, or_, select
from sqlalchemy.orm import Session

from activities.sending.ledger import is_awaited
from crm.consent import consent, mailbox, suppression
from engine.interpreter.gate import (
    Cap,
    Consents,
    Former,
    Held,
    Hold,
    Limits,
    Pass,
    Person,
    QuietTime,
    Refuse,
    SendRequest,
    Suppressions,
    Twin,
    Verdict,
    decide,
)
from journeys.channels import address_of
from models import Contact, Message, Run
from storage.sql import on, table
from workspace import settings

messages = table(Message)
runs = table(Run)
COUNTED = ("claimed", "sent", "delivered", "uncertain")
"""A message of these states has reached the contact, or may have."""
WAITING = 50
"""Held messages of one contact and cap class that are looked at; the most important first."""
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_left_at = func.coalesce(messages.c.sent_at, messages.c.claimed_at)
_former = (
    select(_left_at)
    .where(
        messages.c.contact_id == bindparam("of_contact"),
        messages.c.cap_class == bindparam("of_class"),
        messages.c.status.in_(COUNTED),
        messages.c.test.is_(False),
        messages.c.id != bindparam("me"),
        or_(messages.c.sent_at > bindparam("since"), messages.c.sent_at.is_(None)),
        _left_at.is_not(None),
    )
    .order_by(_left_at.desc())
    .limit(bindparam("newest"))
)
_held = (
    select(
        messages.c.id,
        messages.c.once_key,
        messages.c.run_id,
        messages.c.status,
        messages.c.priority,
        messages.c.planned_at,
        messages.c.held_until,
        runs.c.state,
    )
    .join(runs, runs.c.id == messages.c.run_id)
    .where(
        messages.c.contact_id == bindparam("of_contact"),
        messages.c.cap_class == bindparam("of_class"),
        or_(messages.c.status == "held", messages.c.id == bindparam("me")),
        messages.c.test.is_(False),
        runs.c.status == "active",
    )
    .order_by(messages.c.priority, messages.c.planned_at)
    .limit(WAITING)
)


def ask(
    session: Session,
    contact: Contact | Row[Any] | None,
    wanted: SendRequest,
    address_keys: Sequence[bytes],
    now: datetime,
    twin: Twin | None = None,
    besides: Sequence[Former] = (),
) -> Verdict:
    """The verdict for `contact`, whose row the caller has locked. `wanted.since` is looked up.

    `besides`: messages that count as having left, though no row says so (`activities.forecasts`).
    `twin`: what has become of the same message to another contact with the address (`activities.sending.twins`).
    The first of `address_keys` hashes suppressed addresses, all are read.
    """
    if contact is None:
        return decide(wanted, None, {}, {}, Limits(), (), (), now)
    person = person_of(contact, wanted.channel)
    consents = _consents(session, contact.id, wanted)
    suppressions = _suppressions(session, address_keys, wanted, person.address)
    limits = limits_of(session)
    since, former, held = _others(session, contact.id, wanted, limits, now)
    return decide(replace(wanted, since=since), person, consents, suppressions, limits, [*former, *besides], held, now, twin)


def person_of(contact: Contact | Row[Any], channel: str) -> Person:
    """The contact as the gate sees it."""
    gone = contact.erased_at is not None or contact.merged_into is not None
    return Person(address_of(contact, channel), contact.timezone, gone)


def limits_of(session: Session) -> Limits:
    """The workspace's quiet hours and frequency caps."""
    quiet, caps = settings.load(session, settings.QuietHours), settings.load(session, settings.FrequencyCaps)
    days = tuple(_WEEK.index(day) for day in quiet.days)
    return Limits(
        QuietTime(quiet.start, quiet.end, days, quiet.zone) if quiet.enabled else None,
        tuple(Cap(cap.cap_class, cap.count, cap.per) for cap in caps.caps),
    )


def _consents(session: Session, contact_id: str, wanted: SendRequest) -> Consents:
    """Only marketing asks."""
    if not wanted.is_marketing:
        return {}
    state = consent.state(session, contact_id, wanted.channel, wanted.purpose)
    return {wanted.channel: {wanted.purpose: state}} if state else {}


def _suppressions(session: Session, keys: Sequence[bytes], wanted: SendRequest, address: str | None) -> Suppressions:
    """Why the address gets nothing; `unsubscribe` as well where somebody who has it said no (`crm.consent.mailbox`), which only marketing asks."""
    if not address:
        return {}
    reasons = suppression.reasons(session, keys, wanted.channel, address)
    if wanted.is_marketing and mailbox.says_no(session, keys, wanted.channel, wanted.purpose, address):
        reasons.append("unsubscribe")
    return {wanted.channel: reasons}


def _others(
    session: Session, contact_id: str, wanted: SendRequest, limits: Limits, now: datetime
) -> tuple[datetime | None, list[Former], list[Held]]:
    """Since when the message itself has been held, what has left, and what else is held and still awaited by its run.

    What left before the longest cap, or before as many others as the largest cap lets through, does not matter.
    """
    caps = [cap for cap in limits.caps if wanted.is_marketing and cap.cap_class == wanted.cap_class]
    if not caps:
        return None, [], []
    values = {"of_contact": contact_id, "of_class": wanted.cap_class, "me": wanted.message_id}
    window = {"since": now - max(cap.per for cap in caps), "newest": max(cap.count for cap in caps)}
    left = on(session).execute(_former, {**values, **window}).scalars()
    waiting: Sequence[Any] = on(session).execute(_held, values).all()
    return (
        next((row.planned_at for row in waiting if row.id == wanted.message_id), None),
        [Former(wanted.cap_class, at.astimezone(UTC)) for at in left],
        [
            Held(row.id, wanted.cap_class, row.priority, row.planned_at, row.held_until)
            for row in waiting
            if row.held_until is not None and is_awaited(row)
        ],
    )


__all__ = ["Hold", "Pass", "Refuse", "SendRequest", "Twin", "Verdict", "ask", "limits_of", "person_of"]
