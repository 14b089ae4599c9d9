"""Marks: for whom it has to be worked out again what they count for in their company, and which company their e-mail address means.

Written by the transaction that changed something, for whoever has a company; where companies are made of e-mail domains, for whoever has a new
address, too. While there is no company and no such setting, an event costs a look into a dict. Who works it out is `crm.companies.roll_ups`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, select
from sqlalchemy.orm import Session

from models import CompanyMark, CompanyMember, Contact
from storage import segment_marks
from storage.freshness import bump, freshness
from storage.sql import on, table, upsert

COMPANIES, BY_DOMAIN = "companies", "companies by domain"
"""Numbers that every process knows: the first grows once, when there is a first company; the second is odd while companies are made of domains."""
ORDERS = frozenset({"Order Completed", "Order Updated", "Order Refunded", "Order Cancelled"})
"""Events that change what a contact has paid."""

marks, members, contacts = table(CompanyMark), table(CompanyMember), table(Contact)
_ids: Any = bindparam("contacts", expanding=True)
_at: Any = bindparam("at", type_=marks.c.marked_at.type)
_silent: Any = bindparam("is_silent", type_=marks.c.silent.type)


def begin(session: Session) -> None:
    """There is a company from now on."""
    if not freshness(session, COMPANIES):
        bump(session, COMPANIES)


def are_there(session: Session) -> bool:
    """Whether there has ever been a company."""
    return freshness(session, COMPANIES) > 0


def switch(session: Session, by_domain: bool) -> None:
    """Whether companies are made of e-mail domains from now on."""
    if is_by_domain(session) is not by_domain:
        bump(session, BY_DOMAIN)


def is_by_domain(session: Session) -> bool:
    return freshness(session, BY_DOMAIN) % 2 == 1


def mark_events(session: Session, rows: Collection[Mapping[str, Any]]) -> None:
    """Marks the contacts of events that are stored in this transaction, as far as they concern companies. Rows are those of the table."""
    by_domain = is_by_domain(session)
    if not by_domain and not freshness(session, COMPANIES):
        return
    for silent in (False, True):
        here = [row for row in rows if row["backfill"] is silent]
        counted = {row["contact_id"] for row in here if row["name"] in ORDERS or _is(row, "Score Changed")}
        moved = {row["contact_id"] for row in here if _is(row, "Contact Changed") and "email" in row["properties"].get("fields", ())}
        if by_domain and moved:
            mark(session, moved, here[0]["received_at"], silent=silent)
        mark_members(session, counted | moved, max((row["received_at"] for row in here), default=None), silent=silent)


def _is(row: Mapping[str, Any], name: str) -> bool:
    return bool(row["type"] == "system" and row["name"] == name)


def mark_new(session: Session, contact_ids: Collection[str], now: datetime, *, silent: bool = False) -> None:
    """Contacts that this transaction has made, perhaps with an address."""
    if contact_ids and is_by_domain(session):
        mark(session, contact_ids, now, silent=silent)


def mark(session: Session, contact_ids: Iterable[str], now: datetime, *, silent: bool = False) -> None:
    """Marks contacts, whether they have a company or not."""
    quiet = silent or segment_marks.is_silent(session)
    rows = [{"contact_id": id, "marked_at": now, "silent": quiet} for id in sorted(set(contact_ids))]
    if rows:
        on(session).execute(_put(session.get_bind().dialect.name), rows)


def mark_members(session: Session, contact_ids: Collection[str], now: datetime | None, *, silent: bool = False) -> None:
    """Marks those of the contacts that have a company."""
    if contact_ids and now is not None and freshness(session, COMPANIES):
        values = {"contacts": sorted(contact_ids), "at": now, "is_silent": silent}
        on(session).execute(_put_members(session.get_bind().dialect.name, False), values)


def mark_seen(session: Session, contact_ids: Collection[str], now: datetime) -> None:
    """Marks those of the contacts that have a company and were noted as seen at `now`."""
    if contact_ids and freshness(session, COMPANIES):
        values = {"contacts": sorted(contact_ids), "at": now, "is_silent": False}
        on(session).execute(_put_members(session.get_bind().dialect.name, True), values)


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Takes the marks of contacts away that are nobody any more."""
    on(session).execute(delete(marks).where(marks.c.contact_id.in_(list(contact_ids))))


class _On:
    """A dialect in place of a session, for statements that are built once."""

    def __init__(self, name: str) -> None:
        self.dialect = self
        self.name = name

    def get_bind(self) -> _On:
        return self


@cache
def _put(dialect: str) -> Any:
    statement = upsert(_On(dialect), CompanyMark)  # type: ignore[arg-type]
    return _or_touch(statement)


@cache
def _put_members(dialect: str, seen: bool) -> Any:
    theirs: Select[Any] = select(members.c.contact_id, _at, _silent).where(members.c.contact_id.in_(_ids))
    if seen:
        theirs = theirs.join(contacts, and_(contacts.c.id == members.c.contact_id, contacts.c.last_seen_at == _at))
    statement = upsert(_On(dialect), CompanyMark)  # type: ignore[arg-type]
    return _or_touch(statement.from_select(["contact_id", "marked_at", "silent"], theirs.order_by(members.c.contact_id)))


def _or_touch(statement: Any) -> Any:
    """A mark that is there already is touched all the same: on PostgreSQL this keeps it from being taken away before the change is committed."""
    return statement.on_conflict_do_update(index_elements=["contact_id"], set_={"silent": and_(marks.c.silent, statement.excluded.silent)})
