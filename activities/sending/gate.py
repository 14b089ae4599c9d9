"""What the gate must know, gathered from the database in the transaction that would claim the message; `engine.interpreter.gate` decides.

A message costs two statements, and two more where a rule between channels asks what happened and what is on its way on another: what speaks for
and against it (`crm.consent.standing`), and what has left and what waits. One more asks when the contact last wrote where free text needs it, and once a
transaction it is asked whether settings have changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Row, and_, bindparam, func, or_, select, text
from sqlalchemy.orm import Session

from activities.sending.ledger import is_awaited
from crm.consent import expiry, suppression
from crm.consent.standing import standing
from engine.interpreter.gate import (
    NOTHING,
    Cap,
    ChannelQuiet,
    Consents,
    Expiry,
    Former,
    Happened,
    Held,
    Hold,
    HoldOut,
    Limits,
    Pass,
    Person,
    QuietTime,
    Refuse,
    SendRequest,
    Spacing,
    Suppressions,
    Twin,
    Verdict,
    caps_for,
    decide,
)
from journeys import wishes
from journeys.channels import CHANNELS, TOPIC, address_of
from journeys.rules.terms.message import MESSAGE_EVENTS, REPLY
from models import Contact, Event, Message, Run
from storage.freshness import freshness, is_changing
from storage.json_sql import Kind, Text, place
from storage.sql import on, table
from workspace import settings

messages = table(Message)
runs = table(Run)
events = table(Event)
COUNTED = ("claimed", "sent", "delivered", "uncertain")
"""A message of these states has reached the contact, or may have."""
FEW = 50
"""Messages of one contact that are read in one statement without order; of who has more they are read in two, which sort them."""
WAITING = 200
"""Held messages of one contact that are looked at; the most important first."""
LEFT = 2_000
"""Messages of one contact within the longest cap that are counted; the newest first. Twice what the largest cap lets through."""
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# States stand in the text: SQLite plans a statement anew at every execution where a bound value is compared with a column by which some
# partial index is limited, which takes longer than the query, and SQLAlchemy writes `in_` anew each time.
_left_at = func.coalesce(messages.c.sent_at, messages.c.claimed_at)
_has_left = (
    messages.c.cap_class != "",
    text(f"message.status IN {COUNTED}"),
    or_(messages.c.sent_at > bindparam("since"), messages.c.sent_at.is_(None)),
    _left_at.is_not(None),
)
_waits = or_(text("message.status = 'held'"), messages.c.id == bindparam("me"))
_all = (
    select(
        messages.c.cap_class,
        messages.c.channel,
        messages.c.purpose,
        messages.c.priority,
        messages.c.planned_at,
        messages.c.held_until,
        _left_at.label("at"),
        messages.c.id,
        messages.c.once_key,
        messages.c.run_id,
        messages.c.status,
        runs.c.state,
    )
    .outerjoin(runs, and_(_waits, runs.c.id == messages.c.run_id, text("run.status = 'active'")))
    .where(messages.c.contact_id == bindparam("of_contact"), messages.c.test.is_(False), or_(_waits, and_(*_has_left)))
    .limit(FEW + 1)
)
"""What has left and what waits, in any order: to sort costs SQLite more than to read them."""
_former = (
    select(messages.c.cap_class, messages.c.channel, messages.c.purpose, _left_at.label("at"))
    .where(messages.c.contact_id == bindparam("of_contact"), messages.c.test.is_(False), messages.c.id != bindparam("me"), *_has_left)
    .order_by(_left_at.desc())
    .limit(LEFT)
)
_held = (
    select(
        messages.c.cap_class,
        messages.c.channel,
        messages.c.purpose,
        messages.c.priority,
        messages.c.planned_at,
        messages.c.held_until,
        messages.c.id,
        messages.c.once_key,
        messages.c.run_id,
        messages.c.status,
        runs.c.state,
    )
    .join(runs, runs.c.id == messages.c.run_id)
    .where(messages.c.contact_id == bindparam("of_contact"), _waits, messages.c.test.is_(False), text("run.status = 'active'"))
    .order_by(messages.c.priority, messages.c.planned_at)
    .limit(WAITING)
)
_happened = (
    select(
        events.c.name,
        Text(*place(events.c.properties, "channel")).label("of_channel"),
        func.max(events.c.occurred_at).label("at"),
    )
    .where(
        events.c.contact_id == bindparam("of_contact"),
        events.c.type == "system",
        events.c.name.in_(bindparam("names", expanding=True)),
        events.c.occurred_at > bindparam("since"),
        func.coalesce(Kind(*place(events.c.properties, "machine")), "") != "true",
    )
    .group_by(events.c.name, "of_channel")
)
"""The last of each name and channel: scanners that open every mail hide nobody's click."""

_replied = select(func.max(events.c.occurred_at)).where(
    events.c.contact_id == bindparam("of_contact"),
    events.c.type == "system",
    events.c.name == REPLY,
    events.c.occurred_at > bindparam("since"),
    Text(*place(events.c.properties, "channel")) == bindparam("on_channel"),
    Text(*place(events.c.properties, "from")) == bindparam("of_address"),
)
_on_their_way = (
    select(messages.c.channel, func.max(messages.c.claimed_at).label("at"))
    .where(
        messages.c.contact_id == bindparam("of_contact"),
        text("message.status = 'claimed'"),
        messages.c.test.is_(False),
        messages.c.id != bindparam("me"),
    )
    .group_by(messages.c.channel)
)


def ask(
    session: Session,
    contact: Contact | Row[Any] | None,
    wanted: SendRequest,
    address_keys: Sequence[bytes],
    now: datetime,
    twin: Twin | None = None,
    besides: Sequence[Former] = (),
    address: str | None = None,
) -> Verdict:
    """The verdict for `contact`, whose row the caller has locked. `wanted.since` is looked up.

    `besides`: messages that count as having left, though no row says so (`activities.forecasts`).
    `twin`: what has become of the same message to another contact with the address (`activities.sending.twins`).
    The first of `address_keys` hashes suppressed addresses, all are read. `address`: where the message goes, if not to the contact's own.
    """
    if contact is None:
        return decide(wanted, None, {}, {}, Limits(), (), (), now)
    person = person_of(contact, wanted.channel)
    person = replace(person, address=address) if address else person
    consents, suppressions, said_at = _standing(session, address_keys, contact.id, wanted, person.address)
    person = replace(person, active_at=_active_at(session, contact.id, wanted, said_at, now))
    limits = limits_of(session)
    since, former, held = _others(session, contact.id, wanted, person, limits, now)
    happened = _happenings(session, contact.id, wanted, limits, now, besides)
    left = [*former, *besides]
    heard = replied_at(session, contact.id, wanted.channel, person.address, now) if wanted.reply_window is not None else None
    return decide(replace(wanted, since=since), person, consents, suppressions, limits, left, held, now, twin, happened, heard)


def replied_at(session: Session, contact_id: str, channel: str, address: str | None, now: datetime) -> datetime | None:
    """When the contact's address last wrote to us on the channel, as far back as that lets free text out; None: not since."""
    known = CHANNELS.get(channel)
    if known is None or known.reply_window is None or not address:
        return None
    values = {"of_contact": contact_id, "since": now - known.reply_window, "on_channel": channel, "of_address": address}
    at: datetime | None = on(session).execute(_replied, values).scalar_one()
    return at.astimezone(UTC) if at is not None else None


def person_of(contact: Contact | Row[Any], channel: str) -> Person:
    """The contact as the gate sees it."""
    gone = contact.erased_at is not None or contact.merged_into is not None
    said = contact.attributes
    pause, rhythm = wishes.paused_until(said.get(wishes.PAUSED_UNTIL)), wishes.at_most_every(said.get(wishes.AT_MOST))
    return Person(address_of(contact, channel), contact.timezone, gone, contact.id, pause, rhythm)


_kept: WeakKeyDictionary[Engine, tuple[int, Limits]] = WeakKeyDictionary()
"""Database -> the number of its settings that this process has read last, and the limits made of them."""


def limits_of(session: Session) -> Limits:
    """What the workspace has set: quiet hours, frequency caps, rules between channels, and its control group."""
    if is_changing(session, settings.TOPIC):
        return _limits(session)
    database, number = session.get_bind().engine, freshness(session, settings.TOPIC)
    known = _kept.get(database)
    if known is None or known[0] != number:
        known = _kept[database] = number, _limits(session)
    return known[1]


def _limits(session: Session) -> Limits:
    quiet, caps = settings.load(session, settings.QuietHours), settings.load(session, settings.FrequencyCaps)
    rules, group = settings.load(session, settings.ChannelRules), settings.load(session, settings.HoldOut)
    ending = settings.load(session, settings.ConsentExpiry).purposes
    days = tuple(_WEEK.index(day) for day in quiet.days)
    return Limits(
        QuietTime(quiet.start, quiet.end, days, quiet.zone) if quiet.enabled else None,
        tuple(Cap(cap.cap_class, cap.count, cap.per, cap.channel, cap.purpose) for cap in caps.caps),
        tuple(_channel_quiet(one, days if quiet.enabled else (), quiet.zone) for one in quiet.channels),
        tuple(Spacing(rule.channel, MESSAGE_EVENTS[rule.event], rule.of_channel, rule.after) for rule in rules.rules),
        HoldOut(group.percent, group.draw) if group.percent else None,
        tuple(Expiry(one.purpose, one.after) for one in ending),
    )


def _channel_quiet(one: settings.ChannelQuietHours, days: tuple[int, ...], zone: str) -> ChannelQuiet:
    """The workspace's quiet days are those of the channel, too; the law knows hours only."""
    return ChannelQuiet(one.channel, QuietTime(one.start, one.end, () if one.by_law else days, zone), one.by_law)


def _standing(
    session: Session, keys: Sequence[bytes], contact_id: str, wanted: SendRequest, address: str | None
) -> tuple[Consents, Suppressions, datetime | None]:
    """What was said, why the address gets nothing, and when the consent was given. Only marketing asks for consent, topic and the word of the mailbox; without an address
    nobody asks for anything."""
    if not address:
        return {}, {}, None
    if not wanted.is_marketing:
        return {}, {wanted.channel: suppression.reasons(session, keys, wanted.channel, address)}, None
    found = standing(session, keys, contact_id, wanted.channel, wanted.purpose, wanted.topic, address)
    consents = {} if found.consent is None else {wanted.channel: {wanted.purpose: found.consent}}
    topics = {} if found.topic is None else {TOPIC: {wanted.topic: found.topic}}
    return {**consents, **topics}, {wanted.channel: found.reasons}, found.said_at if found.consent == "granted" else None


def _active_at(session: Session, contact_id: str, wanted: SendRequest, said_at: datetime | None, now: datetime) -> datetime | None:
    """When the consent was given or last used; asked only where consents for the purpose end, and this one has its age."""
    after = expiry.period(session, wanted.purpose) if said_at is not None else None
    return None if after is None or said_at is None else expiry.active_at(session, contact_id, said_at, after, now)


def _others(
    session: Session, contact_id: str, wanted: SendRequest, person: Person, limits: Limits, now: datetime
) -> tuple[datetime | None, list[Former], list[Held]]:
    """Since when the message itself has been held, what has left, and what else is held and still awaited by its run.

    What left before the longest cap does not matter.
    """
    caps = caps_for(wanted, person, limits) if wanted.is_marketing else []
    if not caps:
        return None, [], []
    values = {"of_contact": contact_id, "me": wanted.message_id}
    left, waiting = _messages(session, {**values, "since": now - max(cap.per for cap in caps)})
    return (
        next((row.planned_at for row in waiting if row.id == wanted.message_id), None),
        [Former(row.cap_class, row.at.astimezone(UTC), row.channel, row.purpose) for row in left],
        [
            Held(row.id, row.cap_class, row.priority, row.planned_at, row.held_until, row.channel, row.purpose)
            for row in waiting
            if row.held_until is not None and is_awaited(row)
        ],
    )


def _messages(session: Session, values: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Rows of what has left, and of what waits in a run that is active. Of more than `FEW` the newest and the most important."""
    rows = on(session).execute(_all, values).all()
    if len(rows) > FEW:
        return on(session).execute(_former, values).all(), on(session).execute(_held, values).all()
    waits = [row.status == "held" or row.id == values["me"] for row in rows]
    return (
        [row for row, it_waits in zip(rows, waits, strict=True) if not it_waits],
        [row for row, it_waits in zip(rows, waits, strict=True) if it_waits and row.state is not None],
    )


def _happenings(
    session: Session, contact_id: str, wanted: SendRequest, limits: Limits, now: datetime, besides: Sequence[Former]
) -> Happened:
    """What people, not machines, did with messages on other channels that the wanted one keeps its distance from. A message that is on its way counts
    as sent: two journeys that begin at once must not pass each other."""
    rules = [rule for rule in limits.spacings if wanted.is_marketing and rule.channel == wanted.channel]
    if not rules:
        return NOTHING
    values = {"of_contact": contact_id, "names": sorted({rule.event for rule in rules}), "since": now - max(rule.after for rule in rules)}
    found: dict[str, dict[str, datetime]] = {one.channel: {MESSAGE_EVENTS["sent"]: one.at} for one in besides}
    for row in on(session).execute(_happened, values):
        found.setdefault(str(row.of_channel), {}).setdefault(row.name, row.at)
    for claim in on(session).execute(_on_their_way, {"of_contact": contact_id, "me": wanted.message_id}):
        there = found.setdefault(claim.channel, {})
        there[MESSAGE_EVENTS["sent"]] = max(claim.at, there.get(MESSAGE_EVENTS["sent"], claim.at))
    return found


__all__ = ["Hold", "Pass", "Refuse", "SendRequest", "Twin", "Verdict", "ask", "limits_of", "person_of", "replied_at"]
