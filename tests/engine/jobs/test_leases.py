"""Who holds a background job: one worker at a time, for a while, in turn."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.jobs import SEALED, UNSTOPPABLE, add_job, cancel_job, locked, why
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


def take(db: Database, holder: str, at: datetime = NOW, without: Collection[str] = (), kind: str = "known") -> str | None:
    with db.write() as session:
        return leases.take(session, holder, [kind], at, STORY, without)


def row(db: Database, job_id: str) -> Job:
    with db.read() as session:
        return session.get_one(Job, job_id)


def test_each_worker_gets_another_job_and_none_gets_a_kind_it_does_not_know(db: Database, jobs: list[str]) -> None:
    assert [take(db, "one"), take(db, "two"), take(db, "three")] == [jobs[0], jobs[1], None]


def test_a_lease_that_nobody_renews_ends_and_the_next_worker_takes_the_job(db: Database, jobs: list[str]) -> None:
    take(db, "dead")
    take(db, "alive")
    with db.write() as session:
        leases.renew(session, "alive", jobs, NOW + leases.LEASE)
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
        leases.renew(session, "two", jobs, LATER)
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
    assert str(why(ended)) == "The job failed 5 times; see the log of the worker."


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


def test_two_threads_of_a_worker_that_was_frozen_never_take_the_same_job(db: Database, jobs: list[str]) -> None:
    held = [take(db, "one"), take(db, "one")]
    assert held == jobs[:2]
    assert take(db, "one", LATER, held) is None
    with db.read() as session:
        assert leases.free_jobs(session, ["known"], LATER, without=held) == []
    assert take(db, "two", LATER) == jobs[0], "for others it is free"


def test_only_what_a_thread_works_on_is_renewed(db: Database, jobs: list[str]) -> None:
    """What a thread took and lost by an error becomes free by itself."""
    assert [take(db, "one"), take(db, "one")] == jobs[:2]
    with db.write() as session:
        leases.renew(session, "one", [jobs[1]], NOW + leases.LEASE)
    assert [take(db, "two", LATER), take(db, "two", LATER)] == [jobs[0], None]


def test_a_renewal_does_not_wait_for_a_page(db: Database, jobs: list[str]) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    assert [take(db, "one"), take(db, "one")] == jobs[:2]
    with db.write() as page:
        locked(page, jobs[0])
        with db.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            leases.renew(session, "one", jobs, LATER)
    assert [row(db, job).free_at for job in jobs[:2]] == [NOW + leases.LEASE, LATER + leases.LEASE]


@pytest.mark.parametrize("kind", sorted(UNSTOPPABLE))
def test_what_must_not_stop_half_way_is_never_given_up(db: Database, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its end would forget what it needs to go on."""
    with db.write() as session:
        job_id = add_job(session, kind, "contacts", {SEALED: "anna"}, "tests", STORY).id
        job, pauses = session.get_one(Job, job_id), []
        for _ in range(2_000):
            leases.broke_off(session, job, NOW, STORY)
            pauses.append((job.free_at or NOW) - NOW)
    assert [pause.total_seconds() for pause in pauses[:10]] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert pauses[-1] == leases.MAX_PAUSE
    kept = row(db, job_id)
    assert (kept.state, kept.leased_by, kept.input) == ("running", "", {SEALED: "anna"})
    assert (job_id in caplog.text, "anna" in caplog.text) == (True, False)


def test_what_must_not_stop_half_way_rests_after_it_took_its_workers_with_it(db: Database) -> None:
    with db.write() as session:
        job_id = add_job(session, "erase_rest", "contacts", {SEALED: "anna"}, "tests", STORY).id
    at, taken = NOW, []
    for number in range(leases.MAX_ATTEMPTS + 1):
        taken.append(take(db, f"worker {number}", at, kind="erase_rest"))
        at += leases.LEASE + timedelta(seconds=1)
    assert taken == [job_id] * leases.MAX_ATTEMPTS + [None]
    resting = row(db, job_id)
    assert (resting.state, resting.leased_by, resting.input) == ("running", "", {SEALED: "anna"})
    assert resting.free_at is not None
    assert take(db, "next", resting.free_at, kind="erase_rest") == job_id, "it rests once for each worker that it took with it"
