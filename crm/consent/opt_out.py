"""A person stops a channel by a word to the provider: it counts for the contact, and for everybody who has the address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent.consent import Evidence, record_consent
from models import ConsentState, Contact, Event

SOURCE = "opt_out:"
"""With it begins the source of what was said so."""


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
