"""Consents that end by themselves: a purpose's consent counts for so long after it was given, renewed, or last acted upon.

What counts as acting: that a message was first opened or clicked by a person, and an order. It is looked up for one contact where it decides, by
indexes; no job goes through the consents and no row is changed, so a period that is made longer lets those through again.

Source: LG München I, 17 HK O 138/10 (not used for 1.5 years, a consent is no longer valid); BGH, III ZR 196/17 (no fixed period); Art. 5(1)(e)
GDPR. No number of months stands in the law.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from models import Event, Message
from storage.sql import on, table
from workspace import settings

messages, events = table(Message), table(Event)
ORDER = "Order Completed"

_used = select(func.max(messages.c.opened_at), func.max(messages.c.clicked_at)).where(
    messages.c.contact_id == bindparam("of"), messages.c.test.is_(False)
)
_ordered = select(func.max(events.c.occurred_at)).where(
    events.c.contact_id == bindparam("of"), events.c.name == ORDER, events.c.occurred_at > bindparam("since")
)


def period(session: Session, purpose: str) -> timedelta | None:
    """How long a consent for the purpose counts without being used; None: it does not end by itself."""
    return settings.load(session, settings.ConsentExpiry).after(purpose)


def active_at(session: Session, contact_id: str, said_at: datetime, after: timedelta, now: datetime) -> datetime:
    """When the consent was given, or used last. What is younger than `after` anyhow is not looked up further."""
    if said_at + after > now:
        return said_at
    used = on(session).execute(_used, {"of": contact_id}).one()
    ordered = on(session).execute(_ordered, {"of": contact_id, "since": now - after}).scalar()
    return max(one for one in (said_at, *used, ordered) if one is not None)


def ends_at(session: Session, contact_id: str, purpose: str, said_at: datetime, now: datetime) -> datetime | None:
    """When a consent that was given at `said_at` ends if nothing more happens, which may be past; None: it does not end by itself."""
    after = period(session, purpose)
    return None if after is None else active_at(session, contact_id, said_at, after, now) + after
