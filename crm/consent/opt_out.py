"""A person stops a channel, or wants it again, by a word to the provider or from their own phone: consent of everybody it concerns, and the address.

A no counts for the address whoever has it, known or not; a yes brings back only what such a no took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent import suppression
from crm.consent.consent import Evidence, history, record_consent
from crm.consent.mailbox import EVERYTHING, words, write
from models import ConsentState, Contact, Event
from storage.locks import lock_contact

SOURCE = "opt_out:"
"""Statements begin with it whose no a yes of the same kind takes back."""


def opt_out(
    session: Session,
    contact: str | Contact,
    channel: str,
    address: str,
    now: datetime,
    *,
    by: str,
    proof: Mapping[str, object],
    hops: int = 0,
) -> list[Event]:
    """Withdraws every purpose of the channel, from the address itself: also those that only others who have it agreed to, and those nobody
    spoke of yet. Returns the events to route. `by` is who passed the word on, such as `twilio.main`."""
    contact = lock_contact(session, contact)
    purposes = session.scalars(
        select(ConsentState.purpose).where(ConsentState.contact_id == contact.id, ConsentState.channel == channel)
    ).all()
    said = [
        record_consent(
            session,
            contact,
            channel,
            purpose,
            "withdrawn",
            now,
            evidence=Evidence.DATED,
            source=f"{SOURCE}{by}",
            proof=proof,
            mailbox=address,
            hops=hops,
        )
        for purpose in sorted({*purposes, "marketing"})
    ]
    write(session, words(contact, channel, EVERYTHING, "withdrawn", now, address))
    return [event for event in said if event is not None]


def opt_in(
    session: Session,
    contact: str | Contact,
    channel: str,
    address: str,
    now: datetime,
    *,
    by: str,
    proof: Mapping[str, object],
    hops: int = 0,
) -> list[Event]:
    """Grants anew, from the address itself, the purposes that were granted until a word of the same kind withdrew them. Returns the events to
    route. What the contact stopped for others is taken back as well, unless it had withdrawn marketing elsewhere: that may have been an
    objection to everything."""
    contact = lock_contact(session, contact)
    said = [
        record_consent(
            session,
            contact,
            channel,
            purpose,
            "granted",
            now,
            evidence=Evidence.DATED,
            source=f"{SOURCE}{by}",
            proof=proof,
            mailbox=address,
            hops=hops,
        )
        for purpose in _taken(session, contact.id, channel)
    ]
    if _said_elsewhere(session, contact.id, channel, "marketing") != "withdrawn":
        write(session, words(contact, channel, EVERYTHING, "granted", now))
    return [event for event in said if event is not None]


def stop_unknown(session: Session, keys: Sequence[bytes], channel: str, address: str, now: datetime, *, by: str) -> None:
    """Somebody whom we do not know wants nothing more: the address alone can say so."""
    suppression.suppress(session, keys, channel, address, "unsubscribe", now, source=f"{SOURCE}{by}")


def lift(session: Session, keys: Sequence[bytes], channel: str, address: str, *, by: str) -> None:
    """Takes back what `stop_unknown` wrote, and nothing that anybody else did."""
    entry = suppression.find(session, keys, channel, address, "unsubscribe")
    if entry is not None and entry.source.startswith(SOURCE):
        suppression.lift(session, keys, channel, address, f"provider:{by}", "The recipient wrote that they want messages again.")


def _taken(session: Session, contact_id: str, channel: str) -> list[str]:
    """Purposes that are withdrawn now, and were granted until words of this kind withdrew them."""
    withdrawn = select(ConsentState.purpose).where(
        ConsentState.contact_id == contact_id, ConsentState.channel == channel, col(ConsentState.state) == "withdrawn"
    )
    purposes = sorted(session.scalars(withdrawn))
    return [purpose for purpose in purposes if _said_elsewhere(session, contact_id, channel, purpose) == "granted"]


def _said_elsewhere(session: Session, contact_id: str, channel: str, purpose: str) -> str | None:
    """What counted last of all that was said but opt-outs of this kind, however many followed; None if nothing was."""
    counted = [
        one
        for one in history(session, contact_id)
        if (one.channel, one.purpose) == (channel, purpose)
        and one.proof.get("applied") is not False
        and not (one.state == "withdrawn" and one.source.startswith(SOURCE))
    ]
    return max(counted, key=lambda one: (one.said_at, one.id or 0)).state if counted else None
