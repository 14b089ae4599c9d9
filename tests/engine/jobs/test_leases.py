"""Who holds a background job: one worker at a time, for a while, in turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from crm.jobs import add_job, cancel_job, why
from engine.jobs import leases
from models import Database, Job

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STORY = datetime(2031, 1, 1, tzinfo=UTC)
"""The workspace's own time, which no lease hangs on."""
LATER = NOW + leases.LEASE + timedelta(seconds=1)


@pytest.fixture
def jobs(db: Database) -> list[str]:
    """Two jobs of a known kind, oldest first, and one of another."""
    with db.write() as session:
        return [add_job(session, kind, "contacts", {}, "tests", STORY).id for kind in ("known", "known", "unknown")]


def take(db: Database, holder: str, at: datetime = NOW) -> str | None:
    with db.write() as session:
        return leases.take(session, holder, ["known"], at, STORY)


def row(db: Database, job_id: str) -> Job:
    with db.read() as session:
        return session.get_one(Job, job_id)


def test_each_worker_gets_another_job_and_none_gets_a_kind_it_does_not_know(db: Database, jobs: list[str]) -> None:
    assert [take(db, "one"), take(db, "two"), take(db, "three")] == [jobs[0], jobs[1], None]


def test_a_lease_that_nobody_renews_ends_and_the_next_worker_takes_the_job(db: Database, jobs: list[str]) -> None:
    take(db, "dead")
    take(db, "alive")
    with db.write() as session:
        leases.renew(session, "alive", NOW + leases.LEASE)
    assert take(db, "next", NOW + leases.LEASE - timedelta(seconds=1)) is None
    assert [take(db, "next", LATER), take(db, "next", LATER)] == [jobs[0], None]
    assert (row(db, jobs[0]).leased_by, row(db, jobs[0]).attempts) == ("next", 1)


def test_a_job_that_is_given_back_comes_after_those_that_rested_longer(db: Database, jobs: list[str]) -> None:
    take(db, "one")
    with db.write() as session:
        leases.give_back(session, "one", jobs[0], NOW)
    assert [take(db, "one"), take(db, "one")] == [jobs[1], jobs[0]]
    assert row(db, jobs[0]).attempts == 0


def test_nobody_gives_back_what_another_holds(db: Database, jobs: list[str]) -> None:
    take(db, "one")
    with db.write() as session:
        leases.give_back(session, "two", jobs[0], NOW)
        leases.renew(session, "two", LATER)
    assert row(db, jobs[0]).leased_by == "one"
    assert take(db, "three", LATER) == jobs[1], "the free one first"
    assert take(db, "three", LATER) == jobs[0]


def test_a_job_that_took_its_workers_with_it_is_given_up(db: Database, jobs: list[str]) -> None:
    with db.write() as session:
        cancel_job(session, jobs[1], "tests", STORY)
    at, taken = NOW, []
    while row(db, jobs[0]).state == "running":
        taken.append(take(db, f"worker {len(taken)}", at))
        at += leases.LEASE + timedelta(seconds=1)
    assert taken == [jobs[0]] * leases.MAX_ATTEMPTS + [None]
    ended = row(db, jobs[0])
    assert (ended.state, ended.finished_at, ended.leased_by, ended.free_at) == ("failed", STORY, "", None)
    assert str(why(ended)) == "The job was tried 5 times and broke off each time; the log of the worker says where."


def test_a_page_that_broke_off_is_tried_again_after_ever_longer_pauses(db: Database, jobs: list[str]) -> None:
    def break_off(session: Session) -> timedelta:
        job = session.get_one(Job, jobs[0])
        leases.broke_off(session, job, NOW, STORY)
        return (job.free_at or NOW) - NOW

    with db.write() as session:
        pauses = [break_off(session) for _ in range(leases.MAX_ATTEMPTS)]
    assert [pause.total_seconds() for pause in pauses] == [1, 2, 4, 8, 0]
    assert row(db, jobs[0]).state == "failed"


def test_a_job_that_was_stopped_is_nobodys(db: Database, jobs: list[str]) -> None:
    take(db, "one")
    with db.write() as session:
        cancel_job(session, jobs[0], "tests", STORY)
    assert (row(db, jobs[0]).leased_by, take(db, "two", LATER), take(db, "two", LATER)) == ("", jobs[1], None)
