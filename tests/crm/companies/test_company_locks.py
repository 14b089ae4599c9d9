"""What happens to companies at once on PostgreSQL: nobody waits in a circle, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, text

from crm.companies import companies, group, members, roll_ups
from journeys.errors import Conflict
from models import Contact, Database, Event
from storage.locks import lock_contact

AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def made(db: Database, name: str) -> str:
    with db.write() as session:
        return companies.create(session, name, "test", AT, external_id=name).id


def contact(db: Database, company: str | None = None) -> str:
    with db.write() as session:
        session.add(Contact(id="c1", created_at=AT, updated_at=AT))
        session.flush()
        members.put(session, {"c1": company}, "api", AT)
    return "c1"


def begun(db: Database, pool: ThreadPoolExecutor, act: Callable[[], Any]) -> Future[Any]:
    """`act` in a thread of its own, once it waits for a lock or is through."""

    def somebody_waits() -> bool:
        with db.read() as session:
            return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    other = pool.submit(act)
    while not other.done() and not somebody_waits():
        wait([other], 0.01)
    return other


def test_two_who_merge_the_same_companies_at_once_merge_them_once(postgres_db: Database) -> None:
    one, other = made(postgres_db, "one"), made(postgres_db, "other")

    def merges() -> None:
        with postgres_db.write() as session:
            companies.merge(session, one, other, "test", AT)

    with ThreadPoolExecutor(1) as pool:
        with postgres_db.write() as session:
            companies.merge(session, one, other, "test", AT)
            session.flush()
            second = begun(postgres_db, pool, merges)
        with pytest.raises(Conflict):
            second.result(60)
    with postgres_db.read() as session:
        assert {companies.get(session, id).id for id in (one, other)} == {one}
        assert members.there(session, other) == one


def test_whoever_tells_members_and_whoever_changes_their_company_never_wait_for_each_other(postgres_db: Database) -> None:
    company = made(postgres_db, "acme")
    ann = contact(postgres_db, company)
    with postgres_db.write() as session:
        companies.change(session, company, "test", AT, fields={"plan": "free"})

    def tells() -> None:
        with postgres_db.write() as session:
            roll_ups.spread_page(session, roll_ups.next_spread(session), AT, True)

    with ThreadPoolExecutor(1) as pool:
        with postgres_db.write() as session:
            lock_contact(session, ann)
            other = begun(postgres_db, pool, tells)
            companies.change(session, company, "test", AT, fields={"plan": "pro"})
        other.result(60)
    tells()
    with postgres_db.read() as session:
        assert roll_ups.next_spread(session) is None
        assert session.scalar(select(func.count()).select_from(Event).where(Event.name == "Company Changed")) == 2  # type: ignore[arg-type]


def test_members_join_while_somebody_writes_the_company(postgres_db: Database) -> None:
    company = made(postgres_db, "acme")
    ann = contact(postgres_db)
    with postgres_db.write() as writer, postgres_db.write() as session:
        companies.lock_company(writer, company)
        session.execute(text("SET LOCAL lock_timeout = '1s'"))
        call = group.Call(ann, "acme", {"name": "acme", "members": 9}, trusted=True)
        [done] = group.join(session, [call], AT, "key:1")
        assert ([event.name for event in done.events], done.refused) == (["Company Joined"], {"members": "read_only"})
