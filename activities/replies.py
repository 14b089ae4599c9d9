"""What people write back: *Message Replied* on the contact's timeline, routed at once; a word such as STOP opts out, START opts in again.

The text is a property of the event and stands nowhere else, so it is exported and erased with the contact. Whoever is not a contact is not made
one. Out-of-office notes and whatever else programs answer by mail are no replies: `activities.inbound` tells them apart, and they are
*Message Auto-Replied*, once for each message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.happenings import LEFT, Recorded, Route, hops_of, properties_of
from activities.providers.callback import Reply
from crm.consent import opt_out
from crm.consent.words import intent
from crm.people import phones
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from journeys.channels import ADDRESSED, address_of
from models import Body, Contact, Event, Message
from storage import identifiers
from storage.events import append_event
from storage.json_values import clean_text
from storage.locks import lock_contact, person_of

EVENT = "Message Replied"
AUTOMATIC = "Message Auto-Replied"
"""A program answered a message of ours: it says nothing of what the contact wants, and may say when they are back."""
MOST_CHARACTERS = 4_000
MOST_PEOPLE = 20
"""Contacts with one address that a reply concerns."""


def take(engine: Engine, route: Route, account: str, reply: Reply) -> tuple[Recorded, Wakeups]:
    """One transaction: the opt-out or opt-in of everybody who has the address, the event, and whatever that sets off."""
    with engine.db.write() as session:
        return take_in(engine, route, session, account, reply)


def take_in(engine: Engine, route: Route, session: Session, account: str, reply: Reply) -> tuple[Recorded, Wakeups]:
    """As `take`, inside the caller's transaction."""
    now = engine.clock.now()
    recorded, events = _record(session, engine.address_keys, account, reply, now)
    return recorded, route(session, events, now)


def _record(session: Session, keys: Sequence[bytes], account: str, reply: Reply, now: datetime) -> tuple[Recorded, list[Event]]:
    """The message that they answer, where it is proven, says who they are and which address is meant: the one that it went to."""
    answered = session.get(Message, reply.message_id) if reply.message_id else None
    if answered is not None and answered.test:
        return "known", []
    address = went_to(session, answered) or identifiers.normalise(ADDRESSED[reply.channel], reply.sender)
    if isinstance(address, identifiers.Refused):
        return "unknown", []
    people = _people(session, reply.channel, address)
    author = person_of(session, answered.contact_id) if answered is not None else None
    people = sorted({*people, *([author] if author else [])})
    for person in people:
        if lock_contact(session, person).erased_at is not None:
            return "known", []
    key = _key(account, reply)
    if session.scalar(select(Event.id).where(col(Event.source) == "system", col(Event.message_id) == key)) is not None:
        return "known", []
    message = answered or _answered(session, people, reply.channel)
    wish = reply.intent or intent(reply.text)
    if wish == "start" and not reply.is_proven:
        wish = ""  # a yes in somebody else's name
    proof = {"reply": reply.provider_id[:64], "word": wish}
    events = _heed(session, keys, people, reply.channel, address, wish, account, proof, now)
    whose = author or (message.contact_id if message is not None else people[0] if len(people) == 1 else None)
    if whose is None or not reply.sets_off:
        return ("taken" if wish else "unknown"), events
    properties = {
        **(properties_of(session, message) if message is not None else {"channel": reply.channel}),
        "from": address,
        "text": clean_text(reply.text)[:MOST_CHARACTERS],
        "intent": wish,
    }
    hops = hops_of(session, message) if message is not None else 0
    return "taken", [*events, append_event(session, whose, "system", EVENT, properties, now, message_id=key, hops=hops)]


def take_automatic(engine: Engine, route: Route, session: Session, message_id: str, text: str) -> tuple[Recorded, Wakeups]:
    """What a program answered to a message, inside the caller's transaction. Of two answers to one message the second changes nothing: programs
    that answer each other write for ever."""
    message = session.get(Message, message_id)
    if message is None or message.test:
        return "unknown", Wakeups()
    now, key = engine.clock.now(), f"{AUTOMATIC}:{message.id}"
    contact = lock_contact(session, person_of(session, message.contact_id))
    known = select(Event.id).where(col(Event.source) == "system", col(Event.message_id) == key)
    if contact.erased_at is not None or session.scalar(known) is not None:
        return "known", Wakeups()
    properties = {**properties_of(session, message), "machine": True, "text": clean_text(text)[:MOST_CHARACTERS]}
    event = append_event(session, contact.id, "system", AUTOMATIC, properties, now, message_id=key, hops=hops_of(session, message))
    return "taken", route(session, [event], now)


def people_at(session: Session, channel: str, sender: str) -> list[str]:
    """The contacts with this address on the channel; none, if it is no address."""
    address = identifiers.normalise(ADDRESSED[channel], sender)
    return [] if isinstance(address, identifiers.Refused) else _people(session, channel, address)


def _key(account: str, reply: Reply) -> str:
    """Names the event, once for each reply; a digest, because accounts and ids of providers together may be longer than message ids."""
    return f"{EVENT}:{hashlib.sha256(f'{account}:{reply.provider_id}'.encode()).hexdigest()}"


def went_to(session: Session, message: Message | None) -> str | None:
    """The address that the message went to; None once its body is gone."""
    body = session.get(Body, message.body_id) if message is not None and message.body_id else None
    return body.recipient or None if body is not None else None


def _people(session: Session, channel: str, address: str) -> list[str]:
    """The contacts with the address, in the order in which they are locked."""
    if ADDRESSED[channel] == "phone":
        return phones.holders(session, address, MOST_PEOPLE)
    field = getattr(Contact, ADDRESSED[channel])
    there = (field == address, col(Contact.merged_into).is_(None), col(Contact.erased_at).is_(None))
    return list(session.scalars(select(Contact.id).where(*there).order_by(col(Contact.id)).limit(MOST_PEOPLE)))


def _answered(session: Session, people: Sequence[str], channel: str) -> Message | None:
    """The last message that any of them got there: what people answer."""
    got = (
        col(Message.contact_id).in_(people),
        col(Message.channel) == channel,
        col(Message.status).in_(LEFT),
        col(Message.test).is_(False),
    )
    return session.scalar(select(Message).where(*got).order_by(col(Message.sent_at).desc()).limit(1)) if people else None


def _heed(
    session: Session,
    keys: Sequence[bytes],
    people: Sequence[str],
    channel: str,
    address: str,
    wish: str,
    account: str,
    proof: Mapping[str, object],
    now: datetime,
) -> list[Event]:
    """What they ask for counts for everybody with the address, and for the address itself where nobody is known. A yes counts for those only whose
    messages go there: a further number may be somebody else's, too, and has not agreed for the main one."""
    if wish == "stop" and not people:
        opt_out.stop_unknown(session, keys, channel, address, now, by=account)
    if wish == "start":
        opt_out.lift(session, keys, channel, address, by=account)
        people = [person for person in people if address_of(lock_contact(session, person), channel) == address]
    act = {"stop": opt_out.opt_out, "start": opt_out.opt_in}.get(wish)
    return [event for person in people for event in act(session, person, channel, address, now, by=account, proof=proof)] if act else []
