"""Refused acts stand in the audit trail, and a flood of them does not."""

from __future__ import annotations

from datetime import datetime, timedelta

from models import Database
from workspace import audit
from workspace.refusals import MOST, Refusals


def lines(db: Database) -> list[tuple[str, str, str]]:
    with db.read() as session:
        return [(line.actor, line.action, line.subject) for line in reversed(audit.list_lines(session, limit=200))]


def test_a_refusal_is_written_once_a_minute(sqlite_db: Database, now: datetime) -> None:
    refusals = Refusals()
    for seconds in (0, 1, 59, 60, 61):
        refusals.note(sqlite_db, "member:m", "act:key.manage", now + timedelta(seconds=seconds))
    refusals.note(sqlite_db, "member:other", "act:key.manage", now)
    assert lines(sqlite_db) == [("member:m", "refuse", "act:key.manage")] * 2 + [("member:other", "refuse", "act:key.manage")]


def test_whoever_tries_everything_fills_no_trail(sqlite_db: Database, now: datetime) -> None:
    refusals = Refusals()
    for n in range(100):
        refusals.note(sqlite_db, "member:m", f"act:{n}", now)
    assert len(lines(sqlite_db)) == MOST
