"""Background jobs: previewed, done in pages, gone on with after a crash, cancelled; and enrolment by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from api.admin.journeys import DOCUMENT
from crm.jobs import WANTED, add_job, cancel_job, end_early, why
from crm.people import contacts, profile
from engine.engine import Engine
from engine.enrolment.manual import PAGE
from engine.jobs.worker import Outcome, do_page
from engine.versions import migrate
from engine.versions.publish import create_journey, publish
from journeys.errors import Invalid, NotFound
from locales import translator
from models import Contact, Database, Event, Job, Run, Tag

if TYPE_CHECKING:
    from conftest import Woken

Send = Callable[..., Any]
BASE = "/api/v1/journeys/welcome"
MANY = 2 * PAGE + 3


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def journey(engine: Engine) -> str:
    """The id of a live journey."""
    now = engine.clock.now()
    with engine.db.write() as session:
        created = create_journey(session, DOCUMENT, "tests", now)
        publish(engine, session, created.id, "tests", "", now)
        return created.id


@pytest.fixture
def people(engine: Engine) -> list[str]:
    now = engine.clock.now()
    with engine.db.write() as session:
        rows = [Contact(attributes={"plan": "pro" if n else "free"}, created_at=now, updated_at=now) for n in range(MANY + 1)]
        session.add_all(rows)
        return [row.id for row in rows]


PRO = {"rule": {"field": "plan", "operator": "=", "value": "pro"}}


def runs(engine: Engine) -> int:
    with engine.db.read() as session:
        return len(session.scalars(select(Run.id)).all())


def finished(client: Any, job_id: str) -> dict[str, Any]:
    """The job when it is over; asks again until then."""
    for _ in range(2_000):
        job: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").json()
        if job["state"] != "running":
            return job
        threading.Event().wait(0.01)
    raise AssertionError(f"the job did not end: {job}")


@pytest.mark.usefixtures("job_worker")
def test_everyone_for_whom_a_rule_holds_is_enrolled(admin: Any, engine: Engine, journey: str, people: list[str], woken: Woken) -> None:
    preview = admin.post(f"{BASE}/enrol/preview", json=PRO).json()
    assert (preview["count"], preview["would_enter"], preview["refused"]) == (MANY, MANY, {})
    job = finished(admin, admin.post(f"{BASE}/enrol/bulk", json=PRO).json()["id"])
    assert (job["state"], job["done"], job["total"], job["counts"]) == ("done", MANY, MANY, {"entered": MANY})
    assert runs(engine) == MANY == len(woken.wakeups.starts)
    again = admin.post(f"{BASE}/enrol/preview", json=PRO).json()
    assert (again["would_enter"], again["refused"]) == (0, {"already_entered": MANY})


TAGS = "/api/v1/contacts/tags/bulk"
PRO_WANTED = contacts.ContactFilter(field=("plan", "pro")).kept()


def test_everyone_whom_filters_find_is_enrolled(engine: Engine, journey: str, people: list[str]) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        job = add_job(session, "bulk_enrol", f"journey:{journey}", {"journey_id": journey, WANTED: PRO_WANTED}, "tests", now, MANY)
    row = through(engine, job.id)
    assert (row.state, row.done, row.counts) == ("done", MANY, {"entered": MANY})
    assert row.input == {"journey_id": journey}, "what somebody filtered by is forgotten with the end of the work"


def test_everyone_whom_filters_find_is_tagged_and_untagged(engine: Engine, people: list[str]) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        profile.add_tag(session, people[5], "fair", now)
        for number in range(profile.MAX_TAGS):
            profile.add_tag(session, people[7], f"tag {number}", now)
        tag = add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": True, WANTED: PRO_WANTED}, "tests", now, MANY)
    row = through(engine, tag.id)
    assert (row.state, row.done, row.counts) == ("done", MANY, {"changed": MANY - 2, "unchanged": 1, "full": 1})
    assert tagged(engine, "fair") == set(people[1:]) - {people[7]}
    with engine.db.read() as session:
        told = session.scalars(select(Event).where(Event.contact_id == people[9])).all()
    assert [(event.name, event.properties["tags_added"], event.routed) for event in told] == [("Contact Changed", ["fair"], True)]
    with engine.db.write() as session:
        filter = contacts.ContactFilter(tag="fair").kept()  # whoever loses the tag fits no longer, and nobody is passed over for it
        untag = add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": False, WANTED: filter}, "tests", now)
    assert through(engine, untag.id).counts == {"changed": MANY - 1}
    assert tagged(engine, "fair") == set()


@pytest.mark.usefixtures("job_worker")
def test_everyone_for_whom_a_rule_holds_is_tagged_and_untagged(admin: Any, engine: Engine, people: list[str]) -> None:
    asked = {"tag": " fair ", "rule": PRO["rule"]}
    job = finished(admin, admin.post(TAGS, json=asked).json()["id"])
    assert (job["kind"], job["state"], job["total"], job["counts"]) == ("bulk_tag", "done", MANY, {"changed": MANY})
    assert tagged(engine, "fair") == set(people[1:])
    job = finished(admin, admin.post(TAGS, json={"tag": "fair", "added": False}).json()["id"])
    assert (job["total"], job["counts"]) == (MANY + 1, {"changed": MANY, "unchanged": 1})
    assert tagged(engine, "fair") == set()


def test_a_bulk_tag_that_is_none_is_refused(admin: Any, engine: Engine) -> None:
    assert admin.post(TAGS, json={"tag": "  "}).json()["error"]["message"] == "Expected a tag with 1 to 120 characters."
    assert admin.post(TAGS, json={"tag": "x", "rule": {"combinator": "nor"}}).status_code == 422
    with engine.db.read() as session:
        assert session.scalars(select(Job.id)).all() == []


@pytest.mark.parametrize("whom", [{WANTED: {"text": "anna"}}, {"rule": {"field": "email", "operator": "=", "value": "anna@example.org"}}])
def test_a_stopped_job_forgets_whom_it_was_about(engine: Engine, people: list[str], whom: dict[str, Any]) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        job = add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": True, **whom}, "tests", now)
        cancel_job(session, job.id, "tests", now)
    with engine.db.read() as session:
        assert session.get_one(Job, job.id).input == {"tag": "fair", "added": True}


def through(engine: Engine, job_id: str) -> Job:
    """The job after all its pages."""
    while True:
        do_page(engine, job_id)
        with engine.db.read() as session:
            job = session.get_one(Job, job_id)
        if job.state != "running":
            return job


def tagged(engine: Engine, tag: str) -> set[str]:
    with engine.db.read() as session:
        return set(session.scalars(select(Tag.contact_id).where(Tag.tag == tag)))


def test_an_error_of_the_work_ends_the_job_and_says_why(admin: Any, engine: Engine, journey: str) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        job = add_job(session, "bulk_enrol", "journey:gone", {"journey_id": "gone", "rule": None}, "tests", now)
    do_page(engine, job.id)
    with engine.db.read() as session:
        row = session.get_one(Job, job.id)
    assert row.state == "failed"
    assert str(why(row)) == "Contacts cannot enter a journey that was never published: publish it first."
    assert why(row).say(translator("de")).startswith("In eine Journey, die nie veröffentlicht wurde,")
    answered = admin.get(f"/api/v1/jobs/{job.id}").json()["error"]
    assert answered == "Contacts cannot enter a journey that was never published: publish it first."


def test_an_error_stored_as_plain_text_is_answered_as_it_stands(admin: Any, engine: Engine) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        job = add_job(session, "import", "import:old", {"import_id": "old"}, "tests", now)
        job.state, job.error = "failed", "There is no such {thing}."
    assert admin.get(f"/api/v1/jobs/{job.id}").json()["error"] == "There is no such {thing}."


def test_what_ended_a_job_fits_its_row_and_names_nobody(engine: Engine) -> None:
    """PostgreSQL refuses what is longer than the column, and then the job would run for ever."""
    now = engine.clock.now()
    for error in (
        Invalid("There is no file {file}.", file="ä" * 1_000, typed="anna@example.org"),
        NotFound("There is no such import.", import_id="1", email="anna@example.org"),
    ):
        with engine.db.write() as session:
            job = add_job(session, "import", "import:none", {"import_id": "none"}, "tests", now)
            end_early(session, job, "failed", now, error)
        with engine.db.read() as session:
            kept = session.get_one(Job, job.id).error
        assert len(kept) <= 300
        assert "anna" not in kept


@pytest.mark.usefixtures("job_worker")
def test_a_finished_job_cannot_be_cancelled(admin: Any, engine: Engine, journey: str) -> None:
    job = finished(admin, admin.post(f"{BASE}/enrol/bulk", json={}).json()["id"])
    assert admin.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 409
    assert [row["id"] for row in admin.get("/api/v1/jobs", params={"state": "done"}).json()["items"]] == [job["id"]]


def test_a_cancelled_job_does_no_further_page(admin: Any, engine: Engine, journey: str, people: list[str]) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        job = add_job(session, "bulk_enrol", f"journey:{journey}", {"journey_id": journey, "rule": None}, "tests", now)
        job.state = "cancelled"
    assert do_page(engine, job.id) == Outcome()
    assert runs(engine) == 0


def test_one_contact_is_enrolled_or_told_why_not(admin: Any, journey: str, people: list[str], woken: Woken) -> None:
    body = {"contact_id": people[0], "data": {"cart_id": "c1"}}
    entered = admin.post(f"{BASE}/enrol", json=body).json()
    assert entered["entered"]
    assert entered["run_id"] in woken.wakeups.starts
    assert admin.get(f"/api/v1/runs/{entered['run_id']}").json()["run"]["trigger"] == {"cart_id": "c1"}
    refused = admin.post(f"{BASE}/enrol", json=body).json()
    assert (refused["entered"], refused["reason"]) == (False, "already_entered")
    assert admin.post(f"{BASE}/enrol", json={"contact_id": "nobody"}).status_code == 404


@pytest.mark.usefixtures("job_worker")
def test_open_runs_are_moved_to_another_version_and_back(admin: Any, engine: Engine, journey: str, people: list[str]) -> None:
    finished(admin, admin.post(f"{BASE}/enrol/bulk", json=PRO).json()["id"])
    longer = {**DOCUMENT, "nodes": {**DOCUMENT["nodes"], "pause": {"kind": "wait", "duration": "P2D"}}}
    admin.put(f"{BASE}/draft", json={"document": longer, "revision": 1})
    admin.post(f"{BASE}/publish", json={})
    move = {"from_version": 1, "to_version": 2}
    preview = admin.post(f"{BASE}/migrations/preview", json=move).json()
    assert (preview["open_runs"], preview["moves"]) == (MANY, [{"from": "pause", "to": "pause", "runs": MANY}])
    job = finished(admin, admin.post(f"{BASE}/migrations", json=move).json()["id"])
    assert (job["state"], job["counts"]["moved"]) == ("done", MANY)
    (migration,) = admin.get(f"{BASE}/migrations").json()["items"]
    assert (migration["state"], migration["moved"]) == ("done", MANY)
    back = finished(admin, admin.post(f"/api/v1/migrations/{migration['id']}/rollback").json()["id"])
    assert (back["state"], back["total"], back["counts"]) == ("done", MANY, {"put_back": MANY, "stayed": 0})
    detail = admin.get(f"/api/v1/migrations/{migration['id']}").json()
    assert (detail["state"], detail["put_back"], detail["stayed"], detail["stayed_runs"]) == ("rolled_back", MANY, 0, [])
    assert admin.post(f"/api/v1/migrations/{migration['id']}/rollback").status_code == 409
    assert admin.get("/api/v1/migrations/none").status_code == 404
    versions = {row["number"]: row["open_runs"] for row in admin.get(f"{BASE}/versions").json()["items"]}
    assert versions == {1: MANY, 2: 0}


@pytest.mark.usefixtures("job_worker")
def test_what_the_keeper_moved_meanwhile_counts_too(engine: Engine, admin: Any, journey: str, people: list[str]) -> None:
    finished(admin, admin.post(f"{BASE}/enrol/bulk", json=PRO).json()["id"])
    admin.put(f"{BASE}/draft", json={"document": {**DOCUMENT, "name": "Renamed"}, "revision": 1})
    admin.post(f"{BASE}/publish", json={})
    now = engine.clock.now()
    with engine.db.write() as session:
        begun = migrate.start(engine, session, journey, 1, 2, {}, "tests", now)
        migrate.move_chunk(engine, session, begun.id, now, 7)
        job = add_job(session, "migrate", f"journey:{journey}", {"migration_id": begun.id}, "tests", now, MANY)
    row = finished(admin, job.id)
    assert (row["state"], row["done"], row["counts"]) == ("done", MANY, {"moved": MANY, "skipped": 0})


@pytest.mark.usefixtures("job_worker")
def test_stuck_runs_are_resumed_in_bulk(admin: Any, engine: Engine, journey: str, people: list[str], woken: Woken) -> None:
    finished(admin, admin.post(f"{BASE}/enrol/bulk", json=PRO).json()["id"])
    with engine.db.write() as session:
        for run in session.scalars(select(Run)):
            run.status = "stuck"
            session.add(run)
    job = finished(admin, admin.post(f"{BASE}/stuck/resume").json()["id"])
    assert job["counts"] == {"resumed": MANY}
    assert len(woken.wakeups.runs) == MANY
    assert admin.get(BASE).json()["runs"]["active"] == MANY
