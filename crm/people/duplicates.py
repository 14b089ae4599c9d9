"""Contacts that may be one person: who has the same phone number or e-mail address as another. Suggested, never merged by itself.

Each contact is paired with the `MOST` eldest that have the same address, so that a switchboard number of ten thousand people makes
a list that ends. What a person decided is remembered: `different` pairs are neither suggested again nor merged by a call (decision 014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, NotFound
from models import Contact, Duplicate
from storage.sql import table, upsert
from workspace.audit import record

SUGGESTS = ("email", "phone")
"""Fields that may be equal by chance or by family; the surer first, which is the reason that is kept."""
MOST = 3

pairs, contacts = table(Duplicate), table(Contact)


@dataclass(frozen=True, slots=True)
class Pair:
    """A suggestion with both contacts, the elder first. `reason`: email or phone."""

    id: int
    reason: str
    found_at: datetime
    one: Contact
    other: Contact


@dataclass(frozen=True, slots=True)
class PairPage:
    """`next_before` goes into `before` of the next call; None when this is the last page."""

    pairs: list[Pair]
    next_before: int | None


def suggest(session: Session, addresses: Mapping[str, Mapping[str, str]], now: datetime) -> None:
    """Notes who else has the addresses that contacts have just got: contact id -> {"email" or "phone": normalised address}.

    At most one statement a kind and one that writes, whatever the number of contacts.
    """
    found: dict[tuple[str, str], str] = {}
    for kind in SUGGESTS:
        wanted = {contact_id: had[kind] for contact_id, had in addresses.items() if had.get(kind)}
        holders = _eldest(session, kind, sorted(set(wanted.values())))
        for contact_id, value in wanted.items():
            for other in [one for one in holders.get(value, ()) if one != contact_id][:MOST]:
                found.setdefault(_pair(contact_id, other), kind)
    rows = [_row(pair, reason, now) for pair, reason in sorted(found.items())]
    if rows:
        statement = upsert(session, Duplicate)
        surer = (pairs.c.state == "open") & (statement.excluded.reason == SUGGESTS[0])
        session.execute(
            statement.on_conflict_do_update(index_elements=["one_id", "other_id"], set_={"reason": statement.excluded.reason}, where=surer),
            rows,
        )


def _row(pair: tuple[str, str], reason: str, now: datetime) -> dict[str, Any]:
    return {"one_id": pair[0], "other_id": pair[1], "reason": reason, "state": "open", "found_at": now, "decided_by": ""}


def _eldest(session: Session, kind: str, values: Sequence[str]) -> dict[str, list[str]]:
    """Address -> the eldest contacts that have it, by the index."""
    if not values:
        return {}
    field = contacts.c[kind]
    place = func.row_number().over(partition_by=field, order_by=contacts.c.id).label("place")
    present = (field.in_(values), contacts.c.merged_into.is_(None), contacts.c.erased_at.is_(None))
    ranked = select(field.label("address"), contacts.c.id, place).where(*present).subquery()
    held: dict[str, list[str]] = {}
    for address, contact_id in session.execute(
        select(ranked.c.address, ranked.c.id).where(ranked.c.place <= MOST + 1).order_by(ranked.c.address, ranked.c.place)
    ):
        held.setdefault(address, []).append(contact_id)
    return held


def page(session: Session, *, before: int | None = None, limit: int = 50, contact_id: str | None = None) -> PairPage:
    """Open suggestions, newest first; of one contact, if one is named. A pair that has nothing in common
    any more is left out."""
    limit = max(1, min(limit, 200))
    statement = select(Duplicate).where(Duplicate.state == "open").order_by(col(Duplicate.id).desc()).limit(limit + 1)
    if contact_id is not None:
        statement = statement.where(or_(col(Duplicate.one_id) == contact_id, col(Duplicate.other_id) == contact_id))
    if before is not None:
        statement = statement.where(col(Duplicate.id) < before)
    rows = list(session.scalars(statement))
    shown = rows[:limit]
    people = _people(session, shown)
    found = [
        Pair(row.id or 0, row.reason, row.found_at, people[row.one_id], people[row.other_id])
        for row in shown
        if row.one_id in people and row.other_id in people and _alike(people[row.one_id], people[row.other_id])
    ]
    return PairPage(found, shown[-1].id if len(rows) > limit else None)


def _people(session: Session, rows: Sequence[Duplicate]) -> dict[str, Contact]:
    ids = {contact_id for row in rows for contact_id in (row.one_id, row.other_id)}
    alive = select(Contact).where(col(Contact.id).in_(ids), col(Contact.merged_into).is_(None), col(Contact.erased_at).is_(None))
    return {contact.id: contact for contact in session.scalars(alive)} if ids else {}


def _alike(one: Contact, other: Contact) -> bool:
    return any(getattr(one, kind) and getattr(one, kind) == getattr(other, kind) for kind in SUGGESTS)


def get(session: Session, pair_id: int) -> Duplicate:
    """Raises:
    NotFound: no such pair."""
    row = session.get(Duplicate, pair_id)
    if row is None:
        raise NotFound("There is no such pair of contacts.")
    return row


def keep_apart(session: Session, one_id: str, other_id: str, by: str, now: datetime, reason: str = "") -> None:
    """Remembers that two contacts are not the same person, audited; also of a pair that was never suggested.

    Raises:
        Conflict: it is one and the same contact.
    """
    if one_id == other_id:
        raise Conflict("Choose two different contacts.")
    one, other = _pair(one_id, other_id)
    decided = {"state": "different", "decided_at": now, "decided_by": by}
    row = {**_row((one, other), reason, now), **decided}
    statement = upsert(session, Duplicate).on_conflict_do_update(index_elements=["one_id", "other_id"], set_=decided)
    session.execute(statement, [row])
    record(session, by, "contact.keep_apart", f"contact:{one}", {"other": other})


def joined(session: Session, winner_id: str, loser_id: str) -> None:
    """A merge: who was not the loser is not the winner either; open suggestions of the loser are found anew."""
    session.execute(delete(pairs).where(_between(winner_id, loser_id)))
    theirs = session.execute(sql_select(pairs).where(or_(pairs.c.one_id == loser_id, pairs.c.other_id == loser_id))).all()
    session.execute(delete(pairs).where(or_(pairs.c.one_id == loser_id, pairs.c.other_id == loser_id)))
    for row in theirs:
        one, other = _pair(winner_id, row.other_id if row.one_id == loser_id else row.one_id)
        values = {"one_id": one, "other_id": other} | {
            name: getattr(row, name) for name in ("reason", "state", "found_at", "decided_at", "decided_by")
        }
        statement = upsert(session, Duplicate)
        kept = {"state": "different", "decided_at": row.decided_at, "decided_by": row.decided_by}
        if row.state == "different":
            session.execute(statement.on_conflict_do_update(index_elements=["one_id", "other_id"], set_=kept), [values])
        else:
            session.execute(statement.on_conflict_do_nothing(index_elements=["one_id", "other_id"]), [values])


def forget(session: Session, contact_id: str) -> None:
    """An erasure: nobody is like the contact any more."""
    session.execute(delete(pairs).where(or_(pairs.c.one_id == contact_id, pairs.c.other_id == contact_id)))


def _between(one_id: str, other_id: str) -> Any:
    one, other = _pair(one_id, other_id)
    return and_(pairs.c.one_id == one, pairs.c.other_id == other)


def _pair(one_id: str, other_id: str) -> tuple[str, str]:
    return (one_id, other_id) if one_id < other_id else (other_id, one_id)
