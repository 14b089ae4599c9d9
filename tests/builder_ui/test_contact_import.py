"""An import as people make it: upload, mapping, dry run, run as a job that survives its server, result and the file of faulty rows."""

from __future__ import annotations

import csv
import io
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from crm.imports import uploads
from crm.imports.imports import ROWS_A_TRANSACTION
from crm.jobs import add_job, newest_job
from engine.jobs.worker import do_page
from models import Consent, Contact, Event, Import, Job, Tag, Upload

FILE = (
    b"E-Mail;Vorname;Kundennummer;Einwilligung\r\n"
    b"nora@example.org;Nora;k1;ja\r\n"
    b"nonsense;Otto;k2;ja\r\n"
    b"anna@mail.example.org;Anna;k3;nein\r\n"
    b"paula@example.org;=SUM(A1);;vielleicht\r\n"
)
MAPPED = {
    "target-0": "email",
    "target-1": "first_name",
    "target-2": "user_id",
    "other-2": "external:shop",
    "target-3": "consent_email_marketing",
    "source": "Messe Basel",
    "tags": "messe, 2026",
    "region": "CH",
}


def send(client: Any, settings: Any, content: bytes = FILE, name: str = "leute.csv") -> str:
    """Uploads; the address of the next page."""
    answer = client.post("/ui/contacts/import", files={"file": (name, content, "text/csv")}, headers={"origin": settings.public_url})
    assert answer.status_code == 303
    return str(answer.headers["location"])


def map_columns(client: Any, settings: Any, path: str, **changes: str) -> str:
    answer = client.post(path, data={**MAPPED, **changes}, headers={"origin": settings.public_url})
    assert answer.status_code == 303
    return str(answer.headers["location"])


def state_of(town: Any, path: str) -> Import:
    with town.db.read() as session:
        row: Import = session.get_one(Import, path.rsplit("/", 1)[-1])
        return row


def ended(town: Any, path: str, *states: str) -> Import:
    for _ in range(2_000):
        if (row := state_of(town, path)).state in states:
            return row
        threading.Event().wait(0.01)
    raise AssertionError(f"the import is still {row.state}")


@pytest.mark.usefixtures("job_worker")
def test_from_the_file_to_the_contacts(log_in: Any, opened: Any, town: Any, settings: Any) -> None:
    client = log_in("marketer")
    path = send(client, settings)
    with opened(client, path) as page:
        assert "4 rows. Check how each column is mapped" in page.text
        assert "nora@example.org" in page.text
        chosen = [
            n["attributes"]["defaultValue"] for n in page.nodes() if n.get("tagName") == "select" and "target" in n["attributes"]["name"]
        ]
        assert chosen == ["email", "first_name", "user_id", "einwilligung"]
        assert "Preview of the first rows" in page.text
        assert "This is not an e-mail address." in page.text
    assert map_columns(client, settings, path) == path
    row = ended(town, path, "checked")
    assert (row.rows_ok, row.rows_failed, row.mapping["counts"]["created"]) == (4, 0, 3)
    with town.db.read() as session:
        assert session.scalar(select(Contact).where(Contact.email == "nora@example.org")) is None, "a dry run stores nothing"
    with opened(client, path) as page:
        assert "3 new 1 changed 0 unchanged 0 refused 2 cells skipped" in page.text
        assert "3 E-Mail This is not an e-mail address. row imported, cell skipped" in page.text
        assert "5 Einwilligung Expected a consent such as yes, no, granted, withdrawn or pending." in page.text
        page.press("Import 4 rows")
        page.see_until("The import is in progress.")
    row = ended(town, path, "done")
    assert (row.rows_ok, row.rows_failed) == (4, 0)
    with town.db.read() as session:
        nora = session.scalars(select(Contact).where(Contact.email == "nora@example.org")).one()
        assert set(session.scalars(select(Tag.tag).where(Tag.contact_id == nora.id))) == {"messe", "2026"}
        [consent] = session.scalars(select(Consent).where(Consent.contact_id == nora.id))
        assert (consent.state, consent.source) == ("granted", "Messe Basel")
        assert {event.backfill for event in session.scalars(select(Event).where(Event.contact_id == nora.id))} == {True}
        jobs = session.scalars(select(Job).where(Job.subject == f"import:{row.id}").order_by(Job.id)).all()  # type: ignore[arg-type]
        assert [(job.kind, job.state, job.done, job.total) for job in jobs] == [("import", "done", 4, 4)] * 2
    with opened(client, "/ui/contacts/import") as page:
        assert "leute.csv Imported 4 0" in page.text


@pytest.mark.usefixtures("job_worker")
def test_the_file_of_faulty_rows_can_be_mended_and_sent_again(log_in: Any, town: Any, settings: Any) -> None:
    client = log_in("marketer")
    path = send(client, settings)
    map_columns(client, settings, path)
    ended(town, path, "checked")
    answer = client.get(f"{path}/faulty.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0] == ["E-Mail", "Vorname", "Kundennummer", "Einwilligung", "Line", "Reason"]
    assert rows[1] == ["nonsense", "Otto", "k2", "ja", "3", "E-Mail: This is not an e-mail address."]
    assert rows[2][:2] == ["paula@example.org", "'=SUM(A1)"], "no spreadsheet calculates it"
    mended = answer.content.replace(b"nonsense", b"otto@example.org").replace(b"vielleicht", b"ja")
    again = send(client, settings, mended, "again.csv")
    map_columns(client, settings, again, **{"target-4": "", "target-5": ""})
    assert ended(town, again, "checked").rows_ok == 2
    with town.db.write() as session:
        uploads.begin(session, again.rsplit("/", 1)[-1], "admin", dry=False)
        job = add_job(session, "import", "import:x", {"import_id": again.rsplit("/", 1)[-1], "dry": False}, "test", town.now, 2)
    do_page(town.engine, job.id)
    ended(town, again, "done")
    with town.db.read() as session:
        assert session.scalars(select(Contact).where(Contact.email == "paula@example.org")).one().first_name == "=SUM(A1)"
        assert session.get(Upload, state_of(town, again).mapping["upload"]) is None, "without errors the file goes at once"
        assert session.get(Upload, state_of(town, path).mapping["upload"]) is not None


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("people.xlsx", b"PK\x03\x04", "workbook"),
        ("people.pdf", b"%PDF", "name"),
        ("people.csv", b"PK\x03\x04\x14\x00" + b"x" * 100, "binary"),
        ("people.csv", b"  \r\n ", "empty"),
        ("people.csv", b",,\r\n,,\r\n", "header"),
        ("people.csv", b"email" + b"\x01\x02" * 50, "binary"),
        ("people.csv", b"email,name\r\n", "no_rows"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(
    log_in: Any, opened: Any, settings: Any, town: Any, name: str, content: bytes, problem: str
) -> None:
    client = log_in("marketer")
    path = send(client, settings, content, name)
    assert path == f"/ui/contacts/import?problem={problem}"
    with opened(client, path) as page:
        assert uploads.UNUSABLE[problem] in page.text
    with town.db.read() as session:
        assert session.scalars(select(Upload)).all() == []


def test_a_mapping_that_names_nobody_is_explained(log_in: Any, opened: Any, town: Any, settings: Any) -> None:
    client = log_in("marketer")
    path = send(client, settings)
    back = map_columns(client, settings, path, **{"target-0": "", "target-2": "", "other-2": "", "target-3": "first_name"})
    assert back == f"{path}?problem=columns"
    with opened(client, back) as page:
        assert "The columns Vorname and Einwilligung are both mapped to first_name." in page.text
        assert "No column identifies a contact" in page.text
    assert state_of(town, path).state == "draft"


def test_who_may_not_import_gets_nowhere(log_in: Any, opened: Any, town: Any, settings: Any, client: Any) -> None:
    path = send(log_in("marketer"), settings)
    log_in("viewer")
    assert send(client, settings) == "/ui/contacts/import?problem=role"
    assert map_columns(client, settings, path) == "/ui/contacts/import?problem=role"
    assert client.get(f"{path}/faulty.csv").status_code == 403
    with opened(client, path) as page:
        assert "Your role can view imports but not start one." in page.text
        assert "nora@example.org" not in page.text
    foreign = client.post("/ui/contacts/import", files={"file": ("a.csv", FILE)}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403


MANY = 3 * ROWS_A_TRANSACTION + 7


@pytest.fixture
def started(town: Any) -> tuple[str, str]:
    """An import of many rows with its job, begun and on its first page; and nobody who works on it."""
    content = "email,plan\n" + "".join(f"p{n}@example.org,pro\n" if n % 40 else "bad,pro\n" for n in range(MANY))
    with town.db.write() as session:
        row = uploads.take(session, uploads.read_sent("many.csv", content.encode()), "test", town.now, town.now)
        row.state = "checked"
        session.flush()
        uploads.begin(session, row.id, "admin", dry=False)
        job = add_job(session, "import", f"import:{row.id}", {"import_id": row.id, "dry": False}, "test", town.now, MANY)
    do_page(town.engine, job.id)
    return row.id, job.id


def test_a_killed_server_loses_no_row_and_doubles_none(town: Any, started: tuple[str, str]) -> None:
    import_id, job_id = started
    uploads._readings.drop(import_id)  # what the killed process knew is gone; the rows of job and import are what is left
    for _ in range(10):
        do_page(town.engine, job_id)
    with town.db.read() as session:
        row, job = session.get_one(Import, import_id), session.get_one(Job, job_id)
        there = len(session.scalars(select(Contact.id).where(Contact.email.like("p%@example.org"))).all())  # type: ignore[union-attr]
    assert (row.state, row.cursor, row.rows_ok, row.rows_failed) == ("done", MANY, MANY - 4, 4)
    assert (job.state, job.done, there) == ("done", MANY, MANY - 4)


def test_two_servers_work_on_one_import_without_doing_a_row_twice(town: Any, started: tuple[str, str]) -> None:
    import_id, job_id = started
    uploads.prepare(town.db, import_id, town.now)
    theirs = uploads._readings.get(f"{import_id}.running")
    do_page(town.engine, job_id)
    assert theirs is not None
    theirs.at = ROWS_A_TRANSACTION  # as if another process still held the chunk it had read before
    with town.db.write() as session:
        done = uploads.page(session, import_id, town.now)
    assert (done.cursor, done.counts, done.finished) == (2 * ROWS_A_TRANSACTION, {}, False)
    for _ in range(10):
        do_page(town.engine, job_id)
    assert state_of(town, import_id).rows_ok == MANY - 4


def test_a_cancelled_import_keeps_what_it_did(log_in: Any, opened: Any, town: Any, settings: Any) -> None:
    client = log_in("marketer")
    with town.db.write() as session:
        row = uploads.take(session, uploads.read_sent("many.csv", b"email\n" + b"x@example.org\n" * 400), "test", town.now, town.now)
        row.state, row.cursor, row.rows_ok = "running", 100, 100
        job = Job(
            kind="import", subject=f"import:{row.id}", input={"import_id": row.id}, state="held", created_at=town.now, updated_at=town.now
        )
        session.add(job)
    path = f"/ui/contacts/import/{row.id}"
    with opened(client, path) as page:
        assert "100 of 400 rows" in page.text
        with town.db.write() as session:
            session.get_one(Job, job.id).state = "running"
            page_now = newest_job(session, f"import:{row.id}")
            assert page_now is not None
            from crm.jobs import cancel_job

            cancel_job(session, job.id, "test", town.now)
        page.see_until("The import was stopped.")
    assert state_of(town, path).state == "cancelled"


def test_a_server_that_read_with_an_older_mapping_reads_again(town: Any) -> None:
    with town.db.write() as session:
        row = uploads.take(session, uploads.read_sent("a.csv", b"email,x\na@example.org,1\n"), "test", town.now, town.now)
        uploads.begin(session, row.id, "admin", dry=True)
    uploads.prepare(town.db, row.id, town.now)
    with town.db.write() as session:  # another server ended that run, and a person chose other columns
        session.get_one(Import, row.id).state = "draft"
    uploads.decide(town.db, row.id, uploads.Draft({"email": "email", "x": "plan"}))
    with town.db.write() as session:
        uploads.begin(session, row.id, "admin", dry=True)
    uploads.prepare(town.db, row.id, town.now)
    reading = uploads._readings.get(f"{row.id}.checking")
    assert reading is not None
    assert reading.importer.columns.mapping["x"] == "plan"


def test_old_files_go_away(town: Any) -> None:
    with town.db.write() as session:
        row = uploads.take(session, uploads.read_sent("a.csv", FILE), "test", town.now, town.now)
    with town.db.write() as session:
        assert uploads.forget_old(session, town.now + uploads.KEEP, town.now) == 0
        assert uploads.forget_old(session, town.now + uploads.KEEP + timedelta(minutes=1), town.now) == 1
    with town.db.read() as session:
        assert session.scalars(select(Upload)).all() == []
        assert session.get_one(Import, row.id).state == "cancelled"
