"""The further phone numbers of a contact, beside the main one (`Contact.phone`): who writes from any of them is that contact.

Messages leave to the main number only. A number identifies nobody (decision 014), and several people may have the same one. Whoever writes here
holds the contact's row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, union
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session

from models import Contact, ContactPhone
from storage import identifiers
from storage.sql import table

FIELD = "phones"
"""Under this name interfaces and files write all numbers of a contact at once."""
MOST = 10
"""Numbers of one contact, the main one among them. A merge keeps all of both, however many."""
_BETWEEN = re.compile(r"[,;|\n]")

numbers, contacts = table(ContactPhone), table(Contact)


def read(value: object, region: str | None = None) -> list[str] | identifiers.Refused:
    """Numbers as they are stored, each once, in the order given: out of a list, or a text with commas or semicolons between them."""
    given = _BETWEEN.split(value) if isinstance(value, str) else value
    if given is None:
        return []
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        return identifiers.Refused(FIELD, "wrong_type")
    texts = [one for one in given if one.strip()]
    if len(texts) > MOST:
        return identifiers.Refused(FIELD, "too_many")
    found: dict[str, None] = {}
    for text in texts:
        number = identifiers.normalise("phone", text, region)
        if isinstance(number, identifiers.Refused):
            return number
        found[number] = None
    return list(found)


def further(session: Session, contact: Contact) -> list[str]:
    """The numbers beside the main one, in the order in which they were added."""
    rows = sql_select(numbers.c.phone).where(numbers.c.contact_id == contact.id).order_by(numbers.c.id)
    return list(dict.fromkeys(one for one in session.scalars(rows) if one != contact.phone))


def of(session: Session, contact: Contact) -> list[str]:
    """All numbers, the main one first."""
    return [*([contact.phone] if contact.phone else []), *further(session, contact)]


def put(session: Session, contact: Contact, wanted: Sequence[str], now: datetime) -> bool:
    """Makes these the further numbers, whatever they were; the main one among them is left out. Whether that changed anything."""
    before, after = further(session, contact), [one for one in dict.fromkeys(wanted) if one != contact.phone]
    if before == after:
        return False
    gone = [one for one in before if one not in after]
    session.execute(delete(numbers).where(numbers.c.contact_id == contact.id, numbers.c.phone.in_(gone)))
    add(session, contact.id, [one for one in after if one not in before], now)
    return set(before) != set(after)


def swap(session: Session, contact: Contact, former: str | None, now: datetime) -> None:
    """A further number has become the main one: the former main one is kept in its place."""
    known = sql_select(numbers.c.id).where(numbers.c.contact_id == contact.id, numbers.c.phone == contact.phone)
    if session.execute(known.limit(1)).first() is None:
        return
    session.execute(delete(numbers).where(numbers.c.contact_id == contact.id, numbers.c.phone == contact.phone))
    if former:
        add(session, contact.id, [former], now)


def add(session: Session, contact_id: str, wanted: Iterable[str], now: datetime) -> None:
    """Adds numbers that the contact has not."""
    rows = [{"contact_id": contact_id, "phone": one, "created_at": now} for one in wanted]
    if rows:
        session.execute(insert(numbers), rows)


def holders(session: Session, phone: str, limit: int) -> list[str]:
    """Ids of the contacts that have the number, as their main or a further one, in the order in which contacts are locked."""
    alive = (contacts.c.merged_into.is_(None), contacts.c.erased_at.is_(None))
    mains = sql_select(contacts.c.id).where(contacts.c.phone == phone, *alive).order_by(contacts.c.id).limit(limit).subquery()
    others = (
        sql_select(contacts.c.id)
        .join(numbers, numbers.c.contact_id == contacts.c.id)
        .where(numbers.c.phone == phone, *alive)
        .order_by(contacts.c.id)
        .limit(limit)
        .subquery()
    )
    either = union(sql_select(mains.c.id), sql_select(others.c.id)).subquery()
    return list(session.scalars(sql_select(either.c.id).order_by(either.c.id).limit(limit)))
