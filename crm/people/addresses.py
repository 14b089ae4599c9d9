"""What follows when a contact gets an address or an id: the name it is known by, addresses that people share, duplicates to look at.

Kept apart from `crm.people.identity`, which decides who is meant: fields are also written by people, imports, journeys and merges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import or_, update
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.people.duplicates import suggest
from models import Contact, Identity
from storage.sql import table, upsert

Held = Mapping[str, set[str]]
"""kind of name -> values"""

identities, contacts = table(Identity), table(Contact)
ID_KINDS = or_(identities.c.kind == "user_id", identities.c.kind.startswith("external:"))


def is_id(kind: str) -> bool:
    """Whether names of this kind tell people apart: one person has one of them."""
    return kind == "user_id" or kind.startswith("external:")


def differ(one: Held, other: Held) -> bool:
    """Whether ids say that these are two people."""
    kinds = [kind for kind in one if is_id(kind) and one.get(kind) and other.get(kind)]
    return any(not one[kind] & other[kind] for kind in kinds)


def ids_of(session: Session, contact_ids: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """contact id -> kind -> values, of the kinds that tell people apart."""
    held: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    rows = select(identities.c.contact_id, identities.c.kind, identities.c.value)
    for contact_id, kind, value in session.execute(rows.where(identities.c.contact_id.in_(sorted(set(contact_ids))), ID_KINDS)):
        held[contact_id][kind].add(value)
    return held


def claim(session: Session, addresses: Mapping[str, Mapping[str, str]], now: datetime) -> None:
    """Contacts got addresses: contact id -> {"email" or "phone": normalised address}. A handful of statements, whatever their number.

    An e-mail address that nobody is known by becomes a name; one that another contact with another id has is shared from now on; whoever
    has the same address or number is suggested as a duplicate. A phone number is nobody's name.
    """
    first: dict[str, str] = {}
    for contact_id, had in addresses.items():
        if email := had.get("email"):
            first.setdefault(email, contact_id)
    if first:
        values = [{"kind": "email", "value": email, "contact_id": id, "created_at": now, "shared": False} for email, id in first.items()]
        session.execute(upsert(session, Identity).on_conflict_do_nothing(index_elements=["kind", "value"]), values)
        mark_shared(session, addresses)
    suggest(session, addresses, now)


def mark_shared(session: Session, contact_ids: Iterable[str]) -> None:
    """E-mail addresses of the contacts that a contact with another id is known by mean neither of the two any more."""
    both = (identities.c.kind == "email") & (identities.c.value == contacts.c.email)
    found = session.execute(
        select(contacts.c.id, identities.c.value, identities.c.contact_id)
        .join(identities, both)
        .where(contacts.c.id.in_(sorted(set(contact_ids))), identities.c.contact_id != contacts.c.id, identities.c.shared.is_(False))
    ).all()
    if not found:
        return
    held = ids_of(session, [contact_id for row in found for contact_id in (row.id, row.contact_id)])
    shared = sorted({row.value for row in found if differ(held[row.id], held[row.contact_id])})
    if shared:
        session.execute(update(identities).where(identities.c.kind == "email", identities.c.value.in_(shared)).values(shared=True))


def settle_shared(session: Session, contact_id: str) -> None:
    """After a merge: an address that only the winner has is a name again; one that others have may have become shared."""
    mark_shared(session, [contact_id])
    others = select(contacts.c.id).where(
        contacts.c.email == identities.c.value,
        contacts.c.id != contact_id,
        contacts.c.merged_into.is_(None),
        contacts.c.erased_at.is_(None),
    )
    ours = (identities.c.contact_id == contact_id, identities.c.kind == "email", identities.c.shared.is_(True))
    session.execute(update(identities).where(*ours, ~others.exists()).values(shared=False))
