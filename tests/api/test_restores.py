"""Deciding about everything that may have left before a restore: by API, and as the job that works through it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlmodel import select

from crm import uncertain
from engine import perhaps
from engine.engine import Engine
from engine.jobs.worker import do_page
from models import Database, Job, Message
from tests.restored import Died, decided, dying_at_message, fates, hold
from workspace import audit

BASE = "/api/v1/restores"
MANY = 2 * perhaps.PAGE + 3


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(f"{request.param}_db")
    return found


@pytest.fixture
def restore(engine: Engine) -> str:
    return hold(engine.db, MANY, engine.clock.now())


def finished(client: Any, job_id: str) -> dict[str, Any]:
    for _ in range(3_000):
        job: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").json()
        if job["state"] != "running":
            return job
        threading.Event().wait(0.01)
    raise AssertionError(f"the job did not end: {job}")


def queue(engine: Engine, restore: str, assume: perhaps.Assume) -> str:
    with engine.db.write() as session:
        job = perhaps.decide_all(session, restore, assume, "test", engine.clock.now())
        assert job is not None
        return job.id


def job_of(engine: Engine, job_id: str) -> Job:
    with engine.db.read() as session:
        return session.get_one(Job, job_id)


@pytest.mark.usefixtures("job_worker")
def test_all_were_sent_by_api(admin: Any, engine: Engine, restore: str) -> None:
    [listed] = admin.get(BASE).json()["items"]
    assert (listed["id"], listed["assume"], listed["counts"]) == (restore, "ask", {"ask": MANY})
    answer = admin.post(f"{BASE}/{restore}/assume", json={"assume": "sent"})
    assert answer.status_code == 202
    job = finished(admin, answer.json()["job"])
    assert (job["state"], job["done"], job["total"], job["counts"]) == ("done", MANY, MANY, {"decided": MANY})
    [listed] = admin.get(BASE).json()["items"]
    assert (listed["assume"], listed["counts"]) == ("sent", {"sent": MANY})
    assert fates(engine.db) == {("sent", "sent"): MANY}
    with engine.db.read() as session:
        assert [line.subject for line in audit.list_lines(session, action="restore.assume")] == [f"restore:{restore}"]
    assert admin.post(f"{BASE}/{restore}/assume", json={"assume": "sent"}).json() == {"job": None}


def test_what_a_person_left_as_it_is_stays_so_when_all_are_decided(engine: Engine, restore: str) -> None:
    with engine.db.write() as session:
        message = session.scalars(select(Message).where(Message.status == "uncertain").order_by(Message.id)).first()
        assert message is not None
        uncertain.decide(session, message.id, "leave", message.attempts, "test", engine.clock.now())
    job = queue(engine, restore, "sent")
    for _ in range(3):
        do_page(engine, job)
    assert job_of(engine, job).counts == {"decided": MANY - 1}
    assert fates(engine.db) == {("sent", "sent"): MANY - 1, ("uncertain", "left"): 1}


def test_what_is_asked_for_must_make_sense(admin: Any, engine: Engine, restore: str) -> None:
    assert admin.post(f"{BASE}/{'0' * 32}/assume", json={"assume": "sent"}).status_code == 404
    assert admin.post(f"{BASE}/{restore}/assume", json={"assume": "perhaps"}).status_code == 422
    assert admin.post(f"{BASE}/{restore}/assume", json={"assume": "sent", "whom": "all"}).status_code == 422
    assert admin.post(f"{BASE}/{restore}/assume", json={"assume": "ask"}).json() == {"job": None}
    assert fates(engine.db) == {("uncertain", "ask"): MANY}


def test_work_that_was_killed_goes_on_where_it_stood(engine: Engine, restore: str) -> None:
    """A page and the cursor are one transaction: what was begun is as if it had never been, and nothing is decided twice."""
    job = queue(engine, restore, "sent")
    do_page(engine, job)
    with dying_at_message(4), pytest.raises(Died):
        do_page(engine, job)
    assert fates(engine.db) == {("sent", "sent"): perhaps.PAGE, ("uncertain", "ask"): MANY - perhaps.PAGE}
    assert job_of(engine, job).done == perhaps.PAGE
    for _ in range(2):
        do_page(engine, job)
    assert (job_of(engine, job).state, job_of(engine, job).counts) == ("done", {"decided": MANY})
    assert fates(engine.db) == {("sent", "sent"): MANY}
    assert set(decided(engine.db).values()) == {1}


def test_what_cannot_be_sent_again_is_left_to_a_person_and_counted(engine: Engine, restore: str) -> None:
    """Every page is walked through once; none is begun anew because of what stays listed."""
    job = queue(engine, restore, "unsent")
    for _ in range(3):
        do_page(engine, job)
    assert (job_of(engine, job).state, job_of(engine, job).counts) == ("done", {"kept": MANY})
    assert fates(engine.db) == {("uncertain", "ask"): MANY}
