"""The threads of a worker that do background jobs: several at a time, each page by page, as long as this worker holds the job.

A page and the cursor move in one transaction under the job's lock, which also asks whether the job is still this worker's: so a worker that
was killed costs one page that is done again, and one that was frozen and wakes does none.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from crm.jobs import end, end_early, get_job, locked
from engine.engine import Engine
from engine.jobs import leases
from engine.jobs.kinds import KINDS, Kind, Page
from engine.temporal.wakeups import Wakeups
from journeys.errors import PfadwerkError, where
from models import Job

log = logging.getLogger("pfadwerk.jobs")

T = TypeVar("T")

LONGEST_REST_SECONDS = 0.05
"""Between two pages of a job that yields; SQLite's own waiting for a lock sleeps about as long between two looks."""

IDLE_SECONDS = 0.5
"""How often a thread without work looks for a job; it reads a partial index that is nearly always empty."""
RENEW_SECONDS = 3.0
RETRY_SECONDS = 1.0
SLICE_SECONDS = 2.0
"""After so long a job is given back if another one waits for a worker."""
REST = timedelta(milliseconds=250)
"""How long a job is left alone whose page could do nothing, because something else comes first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a page came to: there is `more` to do, nothing could be done for now (`idle`), or the job is not this worker's any more (`over`)."""

    then: Literal["more", "idle", "over"] = "over"
    wakeups: Wakeups = field(default_factory=Wakeups)
    rest_seconds: float = 0.0
    """How long others are to have the database now."""


def do_page(engine: Engine, job_id: str, holder: str = "", kinds: Mapping[str, Kind] = KINDS) -> Outcome:
    """One page of a job, with its cursor, in one transaction. An error of the work itself ends the job; what was done stays done."""
    now = engine.clock.now()
    try:
        _prepare(engine, job_id, holder, kinds, now)
        begin = time.monotonic()
        with engine.db.write() as session:
            job = locked(session, job_id)
            if job is None or not _is_held(job, holder):
                return Outcome()
            page = kinds[job.kind].page(engine, session, job, now)
            moved = page.finished or bool(page.counts) or page.cursor != job.cursor
            _advance(job, page, now, engine.clock.real_now())
            session.add(job)
            rests = kinds[job.kind].yields and engine.db.is_sqlite
    except PfadwerkError as error:
        _fail(engine, job_id, holder, error, now)
        return Outcome()
    rest = min(time.monotonic() - begin, LONGEST_REST_SECONDS) if rests else 0.0
    return Outcome("over" if page.finished else "more" if moved else "idle", page.wakeups, rest)


def _is_held(job: Job, holder: str) -> bool:
    return job.state == "running" and job.leased_by == holder


def _prepare(engine: Engine, job_id: str, holder: str, kinds: Mapping[str, Kind], now: datetime) -> None:
    with engine.db.read() as session:
        job = session.get(Job, job_id)
    if job is not None and _is_held(job, holder) and (prepare := kinds[job.kind].prepare):
        prepare(engine, job, now)


def _advance(job: Job, page: Page, now: datetime, real_now: datetime) -> None:
    job.cursor = page.cursor
    job.counts = {name: job.counts.get(name, 0) + page.counts.get(name, 0) for name in {*job.counts, *page.counts}}
    job.done += sum(page.counts.values())
    job.updated_at = now
    job.attempts = 0
    if job.leased_by:
        job.free_at = real_now + leases.LEASE
    if page.finished:
        end(job, "done", now)


def _fail(engine: Engine, job_id: str, holder: str, error: PfadwerkError, now: datetime) -> None:
    with engine.db.write() as session:
        job = locked(session, job_id)
        if job is not None and _is_held(job, holder):
            end_early(session, job, "failed", now, error)


def work_through(engine: Engine, job_id: str, kinds: Mapping[str, Kind] = KINDS) -> None:
    """All pages of one job, here; comes back when the job is over. Where somebody else has it, it waits and looks again."""
    holder = secrets.token_hex(16)
    try:
        while _is_running(engine, job_id):
            with engine.db.write() as session:
                mine = leases.take_this(session, holder, job_id, engine.clock.real_now())
            if not mine or do_page(engine, job_id, holder, kinds).then == "idle":
                time.sleep(IDLE_SECONDS)
    finally:
        with engine.db.write() as session:
            leases.give_back(session, holder, job_id, engine.clock.real_now())


def _is_running(engine: Engine, job_id: str) -> bool:
    with engine.db.read() as session:
        return get_job(session, job_id).state == "running"


class JobWorker:
    """Works on the jobs of an engine's database from `start` to `stop`. `wake` tells Temporal what a page brought, and may block; `kinds` are those
    it knows; `threads` is how many jobs it works on at a time."""

    def __init__(
        self,
        engine: Engine,
        wake: Callable[[Wakeups], object],
        kinds: Mapping[str, Kind] = KINDS,
        *,
        threads: int = 2,
        renew_seconds: float = RENEW_SECONDS,
        slice_seconds: float = SLICE_SECONDS,
    ) -> None:
        self.name = secrets.token_hex(16)
        self._engine = engine
        self._wake = wake
        self._kinds = kinds
        self._renew_seconds, self._slice_seconds = renew_seconds, slice_seconds
        self._held: set[str] = set()
        self._holding = threading.Lock()
        """Over `_held`, and over taking a job: between its lease and its name in `_held` no other thread may look for one."""
        self._stopping = threading.Event()
        self._left = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"jobs-{number}", daemon=True) for number in range(threads)]
        self._threads.append(threading.Thread(target=self._stay, name="jobs-lease", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """Ends after the pages that are under way, and gives its jobs back; blocks meanwhile, at most for `seconds`. A page that takes longer
        ends with the process: it is rolled back, and its lease runs out."""
        until = None if seconds is None else time.monotonic() + seconds
        self._stopping.set()
        *working, staying = self._threads
        for thread in working:
            _join(thread, until)
        self._left.set()
        _join(staying, until)

    def _stay(self) -> None:
        """Renews what the other threads hold, also while they stop: a page may take longer than a lease lasts."""
        while not self._left.wait(self._renew_seconds):
            if held := self._held_now():
                self._try(partial(self._renew, held))

    def _held_now(self) -> frozenset[str]:
        with self._holding:
            return frozenset(self._held)

    def _renew(self, held: frozenset[str]) -> None:
        with self._engine.db.write() as session:
            leases.renew(session, self.name, held, self._engine.clock.real_now())

    def _work(self) -> None:
        while not self._stopping.is_set():
            job_id = self._try(self._take)
            if job_id is None:
                self._stopping.wait(IDLE_SECONDS)
                continue
            try:
                self._work_on(job_id)
            finally:
                with self._holding:
                    self._held.discard(job_id)

    def _take(self) -> str | None:
        """A job for this worker, and for one of its threads. Asks without a lock first, because there mostly is none."""
        if not self._someone_waits():
            return None
        clock = self._engine.clock
        with self._holding:
            with self._engine.db.write() as session:
                job_id = leases.take(session, self.name, self._kinds, clock.real_now(), clock.now(), self._held)
            if job_id is not None:
                self._held.add(job_id)
            return job_id

    def _someone_waits(self) -> bool:
        with self._engine.db.read() as session:
            return bool(leases.free_jobs(session, self._kinds, self._engine.clock.real_now(), without=self._held_now()))

    def _work_on(self, job_id: str) -> None:
        """Pages of one job, until it is over, another one waits too long, or the worker stops."""
        until = time.monotonic() + self._slice_seconds
        then = "more"
        while then == "more" and not self._stopping.is_set():
            then = self._page(job_id)
            if time.monotonic() >= until and self._try(self._someone_waits):
                break
        if then != "over":
            self._try(lambda: self._give_back(job_id, REST if then == "idle" else timedelta(0)))

    def _page(self, job_id: str) -> Literal["more", "idle", "over"]:
        try:
            outcome = do_page(self._engine, job_id, self.name, self._kinds)
        except (OperationalError, InterfaceError) as error:
            log.warning("the database did not take a page of the job %s, which is tried again: %s", job_id, where(error))
            self._stopping.wait(RETRY_SECONDS)
            return "more"
        except Exception as error:  # noqa: BLE001 - no kind of job may take the others' thread with it
            log.error("a page of the job %s broke off: %s", job_id, where(error))
            self._try(lambda: self._broke_off(job_id))
            return "over"
        try:
            self._wake(outcome.wakeups)
        except TimeoutError:
            log.warning("Temporal is slow; the keeper starts what is missing")
        except Exception as error:  # noqa: BLE001 - the page is stored, and the thread is needed
            log.warning("Temporal was not told what a page of the job %s brought; the keeper starts it: %s", job_id, where(error))
        self._stopping.wait(outcome.rest_seconds)
        return outcome.then

    def _give_back(self, job_id: str, rest: timedelta) -> None:
        with self._engine.db.write() as session:
            leases.give_back(session, self.name, job_id, self._engine.clock.real_now() + rest)

    def _broke_off(self, job_id: str) -> None:
        with self._engine.db.write() as session:
            job = locked(session, job_id)
            if job is not None and _is_held(job, self.name):
                leases.broke_off(session, job, self._engine.clock.real_now(), self._engine.clock.now())

    def _try(self, act: Callable[[], T]) -> T | None:
        """What may fail while the database is away for a moment; the lease ends by itself, and whoever takes the job goes on."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("the jobs wait for the database: %s", where(error))
            self._stopping.wait(RETRY_SECONDS)
            return None


def _join(thread: threading.Thread, until: float | None) -> None:
    if thread.is_alive():
        thread.join(None if until is None else max(0.0, until - time.monotonic()))
