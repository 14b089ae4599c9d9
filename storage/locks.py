"""The contact row is the lock for everything that happens to a person; it is taken before any other row.

On SQLite the write transaction has locked the whole file already, so only PostgreSQL waits here.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import NotFound
from models import Contact, lock

_one = select(Contact).where(col(Contact.id) == bindparam("contact_id"))
_one_locked = _one.with_for_update()
_FRESH = {"populate_existing": True}


def person_of(session: Session, contact_id: str) -> str:
    """The id of the contact that this one has become by merges; itself if it was never merged, or is unknown.

    Ids outlive merges: in bookmarks, in other systems, on open pages. Whoever reads or writes by an id from outside asks here first.
    """
    known = {contact_id}
    while (into := session.scalar(select(Contact.merged_into).where(Contact.id == contact_id))) is not None and into not in known:
        known.add(into)
        contact_id = into
    return contact_id


def lock_contact(session: Session, contact: str | Contact) -> Contact:
    """The contact of this id, locked and fresh from the database; of one that was merged away the contact it has become. Idempotent
    within a transaction.

    A `Contact` given instead of an id is one that the caller has locked in this transaction; it is returned as it is, without a statement.

    Raises:
        NotFound: there is no such contact (an erased one still has its row).
    """
    if isinstance(contact, Contact):
        return contact
    found = _locked(session, contact)
    while found is not None and found.merged_into is not None:  # merged before, or while we waited for the lock
        found = _locked(session, found.merged_into)
    if found is None:
        raise NotFound("There is no such contact.", contact_id=contact)
    return found


def _locked(session: Session, contact_id: str) -> Contact | None:
    """As `lock_contacts`, by statements that are built once: every report, click and event takes this way."""
    statement = _one if session.get_bind().dialect.name == "sqlite" else _one_locked
    return session.scalar(statement, {"contact_id": contact_id}, execution_options=_FRESH)


def lock_contacts(session: Session, contact_ids: Iterable[str]) -> dict[str, Contact]:
    """id -> contact for those that exist, locked in the order of their ids so that two transactions never wait for each other."""
    statement = select(Contact).where(col(Contact.id).in_(sorted(set(contact_ids)))).order_by(col(Contact.id))
    rows = session.scalars(lock(session, statement), execution_options=_FRESH)
    return {contact.id: contact for contact in rows}
