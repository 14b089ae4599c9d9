"""A browser that followed a link of a message: from then on what it does is the contact's, as far as nobody else is known by it.

What was done before in the same browser joins the contact where it belongs to nobody that one knows: no address, no id, and nobody authenticated has named
that visitor. A browser in which somebody else is known stays theirs: computers are shared, and mails are passed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.people.identity import find
from crm.people.merge import merge
from models import Contact, Event, Identity
from storage.locks import lock_contacts, person_of
from storage.sql import insert_new, on

MOST = 50
"""Browsers of one contact; further ones are not recognised."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """`events`: what a merge changed, not yet routed. `to_wake`: runs that it touched."""

    events: list[Event] = field(default_factory=list)
    to_wake: list[str] = field(default_factory=list)


def recognise(session: Session, contact_id: str, anonymous_id: str, now: datetime) -> Recognised:
    """Makes a browser's anonymous id (normalised) the contact's. The same again changes nothing."""
    contact_id = person_of(session, contact_id)
    holder = find(session, ("anonymous_id", anonymous_id))
    locked = lock_contacts(session, [one for one in (contact_id, holder) if one is not None])
    contact = locked.get(contact_id)
    if contact is None or contact.erased_at is not None or contact.merged_into is not None or holder == contact_id:
        return Recognised()
    kinds = session.scalars(select(Identity.kind).where(Identity.contact_id == contact_id, Identity.kind == "anonymous_id")).all()
    if len(kinds) >= MOST:
        return Recognised()
    if holder is None:
        row = {"kind": "anonymous_id", "value": anonymous_id, "contact_id": contact_id, "created_at": now, "shared": False}
        on(session).execute(insert_new(session, Identity, ("kind", "value")), row)
        return Recognised()
    if not _is_nobody(session, locked.get(holder)):
        return Recognised()
    done = merge(session, contact_id, holder, now, reason="link")
    return Recognised(done.events, done.to_wake)


def _is_nobody(session: Session, visitor: Contact | None) -> bool:
    """Whether nobody knows who it is."""
    if (
        visitor is None
        or visitor.vouched
        or visitor.email
        or visitor.phone
        or visitor.erased_at is not None
        or visitor.merged_into is not None
    ):
        return False
    named = select(Identity.kind).where(Identity.contact_id == visitor.id, Identity.kind != "anonymous_id").limit(1)
    return session.scalar(named) is None
