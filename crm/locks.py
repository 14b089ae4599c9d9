"""The contact row is the lock for everything that happens to a person; it is taken before any other row.

On SQLite the write transaction has locked the whole file already, so only PostgreSQL waits here.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import NotFound
from models import Contact, lock


def lock_contact(session: Session, contact: str | Contact) -> Contact:
    """The contact of this id, locked and fresh from the database. Idempotent within a transaction.

    A `Contact` given instead of an id is one that the caller has locked in this transaction; it is returned as it is, without a statement.

    Raises:
        NotFound: there is no such contact (a merged or erased one still has its row).
    """
    if isinstance(contact, Contact):
        return contact
    found = lock_contacts(session, [contact])
    if not found:
        raise NotFound("There is no such contact.", contact_id=contact)
    return found[contact]


def lock_contacts(session: Session, contact_ids: Iterable[str]) -> dict[str, Contact]:
    """id -> contact for those that exist, locked in the order of their ids so that two transactions never wait for each other."""
    statement = select(Contact).where(col(Contact.id).in_(sorted(set(contact_ids)))).order_by(col(Contact.id))
    rows = session.scalars(lock(session, statement), execution_options={"populate_existing": True})
    return {contact.id: contact for contact in rows}
