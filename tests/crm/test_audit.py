from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from sqlmodel import col

from crm import audit
from journeys.errors import TooLarge
from models import Audit


@pytest.fixture
def chain(session: Session, now: datetime) -> list[Audit]:
    return [
        audit.record(session, "m1", "journey.publish", "journey:j1", {"version": number, "by": "Zoë"}, now + timedelta(seconds=number))
        for number in range(5)
    ]


def test_a_whole_chain_holds(session: Session, chain: list[Audit]) -> None:
    session.expire_all()
    assert audit.verify(session) is None
    assert audit.newest_digest(session) == chain[-1].digest
    assert len({line.digest for line in chain}) == 5


@pytest.mark.parametrize("column", ["actor", "action", "subject", "detail", "at", "digest"])
def test_a_changed_line_is_found(session: Session, chain: list[Audit], now: datetime, column: str) -> None:
    other = {"detail": {"version": 99}, "at": now - timedelta(days=1)}.get(column, "somebody")
    session.execute(update(Audit).where(col(Audit.id) == chain[2].id).values({column: other}))
    session.expire_all()
    assert audit.verify(session) == chain[2].id


def test_a_line_taken_out_is_found(session: Session, chain: list[Audit]) -> None:
    session.execute(delete(Audit).where(col(Audit.id) == chain[1].id))
    assert audit.verify(session) == chain[2].id


def test_lines_are_listed_newest_first_in_pages(session: Session, chain: list[Audit], now: datetime) -> None:
    audit.record(session, "m1", "x", "other", {}, now)
    first = audit.list_lines(session, subject="journey:j1", limit=3)
    rest = audit.list_lines(session, subject="journey:j1", before=first[-1].id, limit=3)
    assert [line.id for line in (*first, *rest)] == [line.id for line in reversed(chain)]


def test_details_are_small(session: Session, now: datetime) -> None:
    with pytest.raises(TooLarge):
        audit.record(session, "m1", "x", "y", {"a": "b" * 20_000}, now)
