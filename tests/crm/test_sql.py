"""Savepoints hold what goes past the session, too."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from models import Freshness
from storage.sql import on, savepoint, table, undone

numbers = table(Freshness)


def topics(session: Session) -> set[str]:
    return set(on(session).scalars(select(numbers.c.topic)))


def put(session: Session, topic: str) -> None:
    on(session).execute(insert(numbers).values(topic=topic, number=1))


def fail_after(session: Session, topic: str) -> None:
    put(session, topic)
    raise ZeroDivisionError


def test_what_fails_in_a_savepoint_is_taken_back_and_the_rest_stands(session: Session, now: datetime) -> None:
    put(session, "before")
    with pytest.raises(ZeroDivisionError), savepoint(session):
        fail_after(session, "inside")
    put(session, "after")
    assert topics(session) >= {"before", "after"}
    assert "inside" not in topics(session)


def test_what_succeeds_in_a_savepoint_stands(session: Session) -> None:
    with savepoint(session):
        put(session, "kept")
    assert "kept" in topics(session)


def test_what_is_only_tried_leaves_nothing(session: Session) -> None:
    with undone(session):
        put(session, "tried")
        assert "tried" in topics(session)
    assert "tried" not in topics(session)
