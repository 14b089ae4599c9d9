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
from models import ConsentState, Contact, Event

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
    """Withdraws every purpose of the channel, from the address itself; returns the events to route. `by` is who passed the word on, such as
    `twilio.main`."""
    contact_id = contact if isinstance(contact, str) else contact.id
    purposes = session.scalars(
        select(ConsentState.purpose).where(ConsentState.contact_id == contact_id, ConsentState.channel == channel)
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
    route."""
    contact_id = contact if isinstance(contact, str) else contact.id
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
        for purpose in _taken(session, contact_id, channel)
    ]
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
    """Purposes that are withdrawn now, last by a word of this kind, and were granted right before."""
    withdrawn = select(ConsentState.purpose).where(
        ConsentState.contact_id == contact_id, ConsentState.channel == channel, col(ConsentState.state) == "withdrawn"
    )
    found = []
    for purpose in sorted(session.scalars(withdrawn)):
        counted = [
            one
            for one in history(session, contact_id)
            if (one.channel, one.purpose) == (channel, purpose) and one.proof.get("applied") is not False
        ]
        last, *before = sorted(counted, key=lambda one: (one.said_at, one.id or 0), reverse=True)[:2]
        if last.source.startswith(SOURCE) and before and before[0].state == "granted":
            found.append(purpose)
    return found
