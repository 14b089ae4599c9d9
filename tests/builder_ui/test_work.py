"""Background jobs that ended before its end says why, in the language of whoever looks, whoever began it."""

from __future__ import annotations

from typing import Any

import pytest

from crm.imports import uploads
from crm.jobs import add_job, cancel_job, end_early, newest_job
from engine.jobs.worker import do_page
from engine.presence import Presence
from engine.versions import migrate
from journeys.errors import Conflict, PfadwerkError
from models import Job, Member

GONE = Conflict("There is no journey “{journey}”.", journey="carts")


@pytest.fixture
def german(log_in: Any, town: Any) -> Any:
    with town.db.write() as session:
        session.get_one(Member, town.members["marketer"]).locale = "de"
    return log_in("marketer")


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return str(page.text)


def fail(town: Any, kind: str, subject: str, input: dict[str, Any], error: PfadwerkError = GONE) -> None:
    with town.db.write() as session:
        end_early(session, add_job(session, kind, subject, input, "test", town.now), "failed", town.now, error)


def test_an_import_whose_file_went_away(opened: Any, german: Any, town: Any) -> None:
    with town.db.write() as session:
        row = uploads.take(session, uploads.read_sent("many.csv", b"email\na@example.org\n"), "test", town.now, town.now)
        row.state = "checked"
        session.flush()
        uploads.begin(session, row.id, "admin", dry=False)
        job = add_job(session, "import", f"import:{row.id}", {"import_id": row.id, "dry": False}, "test", town.now, 1)
        uploads.forget(session, row)
    do_page(town.engine, job.id)
    text = say(opened, german, f"/ui/contacts/import/{row.id}")
    assert "Die Arbeit an dieser Datei ist vorzeitig abgebrochen: Die Datei zu diesem Import ist nicht mehr da" in text


def test_a_migration(opened: Any, german: Any, town: Any) -> None:
    address = town.without_two_days()
    with town.db.write() as session:
        begun = migrate.start(town.engine, session, town.journey("welcome").id, 1, 2, {}, "test", town.now)
    fail(town, "migrate", f"journey:{begun.journey_id}", {"migration_id": begun.id})
    said = "Die Arbeit ist vorzeitig abgebrochen: Eine Journey „carts“ gibt es nicht."
    assert said in say(opened, german, address)
    with town.db.write() as session:  # the next try is under way
        add_job(session, "migrate", f"journey:{begun.journey_id}", {"migration_id": begun.id}, "test", town.now)
    assert said not in say(opened, german, address)


def test_trying_all_stuck_runs_again(opened: Any, german: Any, town: Any) -> None:
    id = town.journey("birthday").id
    fail(town, "resume_stuck", f"journey:{id}", {"journey_id": id})
    said = "Der letzte Versuch mit allen ist vorzeitig abgebrochen: Eine Journey „carts“ gibt es nicht."
    assert said in say(opened, german, "/ui/journeys/birthday?tab=stuck")


def test_a_row_of_before_is_shown_as_it_stands(opened: Any, german: Any, town: Any) -> None:
    id = town.journey("birthday").id
    fail(town, "resume_stuck", f"journey:{id}", {"journey_id": id})
    with town.db.write() as session:
        session.query(Job).one().error = "Nobody thought of {this} then."
    assert "vorzeitig abgebrochen: Nobody thought of {this} then." in say(opened, german, "/ui/journeys/birthday?tab=stuck")


def test_a_job_that_waits_because_no_worker_runs_says_so(log_in: Any, opened: Any, town: Any) -> None:
    """And no more once there is one."""
    said = "No worker is running. Background jobs wait and continue as soon as one runs."
    with town.db.write() as session:
        add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": True, "rule": None}, "test", town.now)
    worker = Presence(town.engine, "worker")
    with opened(log_in("marketer"), "/ui/settings/work") as page:
        assert said in page.text
        worker.beat()
        while said in page.text:
            page.see()
    with town.db.write() as session:
        cancel_job(session, newest_job(session, "contacts").id, "test", town.now)
    worker.leave()
    with opened(log_in("marketer"), "/ui/settings/work") as page:
        assert said not in page.text, "nothing waits"
