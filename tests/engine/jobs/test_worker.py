"""The threads of a worker that do background jobs: several at a time, whatever one of them meets; and when the worker is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from crm.jobs import WANTED, add_job, cancel_job
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment.manual import PAGE
from engine.jobs import leases
from engine.jobs.kinds import KINDS, Kind, Page
from engine.jobs.worker import LONGEST_REST_SECONDS, JobWorker, Outcome, do_page, work_through
from engine.temporal.wakeups import Wakeups
from journeys.nodes import Palette
from models import Contact, Database, Event, Job, Tag

MANY = 2 * PAGE + 3
ROOT = Path(__file__).parents[3]
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Ahead(Clock):
    """Real time by which whatever is leased now is free."""

    def real_now(self) -> datetime:
        return datetime.now(UTC) + leases.LEASE + timedelta(seconds=1)


@pytest.fixture
def engine(db: Database) -> Engine:
    return Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))


@pytest.fixture
def tagging(engine: Engine) -> str:
    """A job of three pages."""
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add_all([Contact(first_name=f"Crowd {number}", created_at=now, updated_at=now) for number in range(MANY)])
        return add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": True, WANTED: {}}, "tests", now, MANY).id


@contextmanager
def working(engine: Engine, kinds: Mapping[str, Kind] = KINDS, **options: Any) -> Iterator[JobWorker]:
    jobs = JobWorker(engine, lambda _wakeups: None, kinds, **options)
    jobs.start()
    try:
        yield jobs
    finally:
        jobs.stop()


def queue(engine: Engine, kind: str) -> str:
    with engine.db.write() as session:
        return add_job(session, kind, "tests", {}, "tests", engine.clock.now()).id


def job_of(engine: Engine, job_id: str) -> Job:
    with engine.db.read() as session:
        return session.get_one(Job, job_id)


def wait_for(holds: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.02)):
        if holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come about")


def ended(engine: Engine, job_id: str) -> Job:
    wait_for(lambda: job_of(engine, job_id).state != "running")
    return job_of(engine, job_id)


def page(**counts: int) -> Page:
    return Page(Wakeups(), "", counts, finished=True)


def test_several_jobs_are_done_at_the_same_time(engine: Engine) -> None:
    """Each waits for the other in the middle of its page."""
    together = threading.Barrier(2)
    kinds = {"meet": Kind(lambda *_: page(met=1), lambda *_: together.wait(PATIENCE) and None)}
    jobs = [queue(engine, "meet"), queue(engine, "meet")]
    with working(engine, kinds, threads=2):
        assert [ended(engine, job).counts for job in jobs] == [{"met": 1}, {"met": 1}]


def test_one_thread_gives_every_job_its_turn(engine: Engine) -> None:
    """A job without an end does not keep the others out."""

    def endless(_engine: Engine, _session: Any, job: Job, _now: datetime) -> Page:
        return Page(Wakeups(), str(job.done), {"more": 1}, finished=False)

    long, short = queue(engine, "endless"), queue(engine, "short")
    with working(engine, {"endless": Kind(endless), "short": Kind(lambda *_: page(done=1))}, threads=1, slice_seconds=0):
        assert ended(engine, short).state == "done"
        with engine.db.write() as session:
            cancel_job(session, long, "tests", engine.clock.now())
    assert job_of(engine, long).state == "cancelled"


def test_a_page_that_fails_as_no_one_foresaw_takes_no_other_job_with_it(
    engine: Engine, tagging: str, caplog: pytest.LogCaptureFixture
) -> None:
    failed, go_on = threading.Event(), threading.Event()

    def broken(*_: Any) -> Page:
        if failed.is_set():  # however slow the machine: it fails no second time before it was looked at
            assert go_on.wait(PATIENCE)
        failed.set()
        raise ZeroDivisionError("anna@example.org")

    with working(engine, {**KINDS, "broken": Kind(broken)}, threads=2):
        bad = queue(engine, "broken")
        assert ended(engine, tagging).state == "done"
        wait_for(lambda: job_of(engine, bad).attempts > 0)
        row = job_of(engine, bad)
        go_on.set()
    assert (row.state, row.attempts) == ("running", 1)
    assert "ZeroDivisionError" in caplog.text
    assert "anna" not in caplog.text


def test_a_page_that_can_do_nothing_yet_rests(engine: Engine) -> None:
    asked = threading.Semaphore(0)

    def nothing(*_: Any) -> Page:
        asked.release()
        return Page(Wakeups(), "", {}, finished=False)

    job = queue(engine, "nothing")
    with working(engine, {"nothing": Kind(nothing)}, threads=1):
        assert asked.acquire(timeout=PATIENCE)
        assert asked.acquire(timeout=PATIENCE), "it is asked again"
    assert do_page(engine, job, "", {"nothing": Kind(nothing)}) == Outcome("idle")


@pytest.mark.parametrize("yields", [False, True])
def test_a_kind_that_yields_leaves_others_their_time_where_one_writes_at_a_time(engine: Engine, yields: bool) -> None:
    outcome = do_page(engine, queue(engine, "short"), "", {"short": Kind(lambda *_: page(done=1), yields=yields)})
    assert (0 < outcome.rest_seconds <= LONGEST_REST_SECONDS) is (yields and engine.db.is_sqlite)


def test_a_worker_that_stops_gives_its_jobs_back(engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> Page:
        begun.set()
        assert go_on.wait(PATIENCE)
        return Page(Wakeups(), "next", {"one": 1}, finished=False)

    job = queue(engine, "slow")
    with working(engine, {"slow": Kind(slow)}) as worker:
        assert begun.wait(PATIENCE)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        go_on.set()
        stopping.join()
    row = job_of(engine, job)
    assert (row.state, row.leased_by, row.attempts, row.cursor) == ("running", "", 0, "next")


def test_who_lost_the_job_does_no_page_of_it(engine: Engine, tagging: str) -> None:
    """A worker that was frozen wakes after another has taken over."""
    now = engine.clock.real_now()
    with engine.db.write() as session:
        assert leases.take(session, "other", KINDS, now, now) == tagging
    assert do_page(engine, tagging, "frozen") == Outcome()
    assert job_of(engine, tagging).done == 0
    assert do_page(engine, tagging, "other").then == "more"


def test_a_long_page_keeps_its_lease(engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    job = queue(engine, "slow")
    with working(engine, {"slow": Kind(lambda *_: page(one=1), slow)}, renew_seconds=0.01):
        assert begun.wait(PATIENCE)
        first = job_of(engine, job).free_at
        assert first is not None
        wait_for(lambda: (job_of(engine, job).free_at or first) > first)
        go_on.set()
        assert ended(engine, job).counts == {"one": 1}


@pytest.mark.parametrize("place", ["prepare", "page", "wake"])
def test_what_a_killed_worker_held_is_done_by_the_next_and_nothing_twice(engine: Engine, tagging: str, place: str) -> None:
    doomed = Path(__file__).with_name("doomed.py")
    command = [sys.executable, str(doomed), engine.db.url, place]
    with subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.kill()
    held = job_of(engine, tagging)
    assert (held.state, held.done, held.counts) == ("running", PAGE, {"changed": PAGE})
    assert held.leased_by
    successor = Engine(engine.db, Ahead(), engine.palette, engine.address_keys)
    with working(successor):
        row = ended(engine, tagging)
    assert (row.state, row.done, row.counts) == ("done", MANY, {"changed": MANY})
    with engine.db.read() as session:
        assert len(session.scalars(select(Tag)).all()) == MANY
        told = session.scalars(select(Event.contact_id).where(Event.name == "Contact Changed")).all()
    assert len(told) == len(set(told)) == MANY


def test_a_job_is_worked_through_at_once_and_left_to_others_if_that_breaks_off(engine: Engine, tagging: str) -> None:
    with pytest.raises(KeyError):
        work_through(engine, tagging, {})
    assert (job_of(engine, tagging).state, job_of(engine, tagging).leased_by) == ("running", "")
    work_through(engine, tagging)
    assert (job_of(engine, tagging).state, job_of(engine, tagging).counts) == ("done", {"changed": MANY})


def test_a_thread_outlives_that_temporal_is_told_nothing(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def no_loop(_wakeups: Wakeups) -> None:
        raise RuntimeError("anna@example.org")

    jobs = [queue(engine, "short"), queue(engine, "short")]
    worker = JobWorker(engine, no_loop, {"short": Kind(lambda *_: page(done=1))}, threads=1)
    worker.start()
    assert [ended(engine, job).state for job in jobs] == ["done", "done"]
    worker.stop()
    assert "RuntimeError" in caplog.text
    assert "anna" not in caplog.text


def test_two_threads_never_work_on_the_same_job(engine: Engine) -> None:
    """The process was frozen for longer than a lease, and nobody could renew it."""
    begun, go_on, inside = threading.Event(), threading.Event(), []

    def slow(*_: Any) -> None:
        inside.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(PATIENCE)

    kinds = {"slow": Kind(lambda *_: page(one=1), slow), "short": Kind(lambda *_: page(done=1))}
    job = queue(engine, "slow")
    with working(engine, kinds, threads=2, renew_seconds=PATIENCE) as worker:
        assert begun.wait(PATIENCE)
        with engine.db.write() as session:
            leases.renew(session, worker.name, [job], engine.clock.real_now() - 2 * leases.LEASE)
            later = add_job(session, "short", "tests", {}, "tests", engine.clock.now())
            later.free_at = engine.clock.real_now()
        wait_for(lambda: len(inside) > 1 or job_of(engine, later.id).state == "done")
        go_on.set()
        assert ended(engine, job).counts == {"one": 1}
    assert len(inside) == 1, "the other thread has looked for work and passed it over"


def test_a_worker_waits_for_a_long_page_no_longer_than_it_is_told(engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    job = queue(engine, "slow")
    with working(engine, {"slow": Kind(lambda *_: page(one=1), slow)}) as worker:
        assert begun.wait(PATIENCE)
        worker.stop(0.01)
        assert job_of(engine, job).state == "running"
        go_on.set()
    assert job_of(engine, job).counts == {"one": 1}


def test_a_page_keeps_its_lease_while_the_worker_stops(engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    job = queue(engine, "slow")
    with working(engine, {"slow": Kind(lambda *_: page(one=1), slow)}, renew_seconds=0.01) as worker:
        assert begun.wait(PATIENCE)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        assert worker._stopping.wait(PATIENCE)
        first = job_of(engine, job).free_at
        assert first is not None
        wait_for(lambda: (job_of(engine, job).free_at or first) > first)
        go_on.set()
        stopping.join()
    assert job_of(engine, job).counts == {"one": 1}
