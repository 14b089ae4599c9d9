"""The list of contacts with its filters and acts, one contact changed by hand, and lists as files."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlmodel import select

from crm import jobs
from crm.consent import consent, suppression
from crm.imports.csv_cells import cell_of, line_of, plain_of
from crm.people.contacts import ContactFilter, count, search
from engine.jobs.worker import do_page
from models import Audit, Contact, Job, Run, Tag, Task
from storage.events import append_event


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return str(page.text)


@pytest.mark.parametrize(
    ("query", "there", "absent", "chip"),
    [
        ("q=ann", "Anna Meier", "Ben Huber", "Name or address begins with “ann” ×"),
        ("tag=vip", "Felix Baumann", "Anna Meier", "Tag vip ×"),
        ("stage=lead", "Anna Meier", "Felix Baumann", "Stage lead ×"),
        ("channel=email&consent=granted", "Anna Meier", "No matching contacts", "E-mail (marketing): granted ×"),
        ("group=engagement&score=80", "Julia Frei", "Anna Meier", "Score engagement at least 80 ×"),
        ("journey=welcome", "Ben Huber", "Felix Baumann", "In the journey “Welcome” ×"),
        ("field=first_name&value=Grace", "Grace Hill", "Anna Meier", "first_name = Grace ×"),
        ("seen=-30", "No matching contacts", "Anna Meier", "Not seen for 30 days ×"),
        ("since=2030-01-01", "No matching contacts", "Anna Meier", "Created since 1 Jan 2030 ×"),
        ("score=much&group=x&consent=maybe&seen=9&since=yesterday&journey=nothing&field=&value=x", "Anna Meier", "×", "12 contacts"),
    ],
)
def test_filters_are_in_the_address_and_said(log_in: Any, opened: Any, query: str, there: str, absent: str, chip: str) -> None:
    text = say(opened, log_in("viewer"), f"/ui/contacts?{query}")
    assert there in text
    assert absent not in text.replace(chip, "")
    assert chip in text


def test_orders_page_by_key_without_losing_anybody(town: Any) -> None:
    with town.db.read() as session:
        for sort in ("created", "seen", "name"):
            seen: list[str] = []
            before = None
            while True:
                page = search(session, ContactFilter(), before=before, limit=4, sort=sort)
                seen += [contact.id for contact in page.contacts]
                before = page.next_before
                if before is None:
                    break
            assert len(seen) == len(set(seen)) == count(session, ContactFilter()) == 12
        names = [contact.last_name for contact in search(session, ContactFilter(), sort="name").contacts]
    assert names == sorted(names, key=str.lower)


def choose(page: Any, name: str) -> None:
    [box] = [node for node in page.nodes() if node.get("attributes", {}).get("aria-label") == f"Choose {name}"]
    page.send({"type": "layout-event", "target": box["eventHandlers"]["onChange"]["target"], "data": [{"target": {"checked": True}}]})
    page.see()


def fill(page: Any, label: str, value: str) -> None:
    """Types into the field of a label and leaves it."""
    for node in page.nodes():
        handlers = node.get("eventHandlers", {})
        labelled = node.get("attributes", {}).get("aria-label") == label
        if labelled and handlers:
            return send_value(page, node, value)
        if node.get("tagName") == "label" and node["children"][0] == label:
            [inner] = [child for child in node["children"] if isinstance(child, dict)]
            return send_value(page, inner, value)
    raise AssertionError(f"no field {label!r}")


def send_value(page: Any, node: Any, value: str) -> None:
    handlers = node["eventHandlers"]
    target = (handlers.get("onBlur") or handlers["onChange"])["target"]
    page.send({"type": "layout-event", "target": target, "data": [{"target": {"value": value}}]})


def tagged(town: Any, tag: str) -> set[str]:
    with town.db.read() as session:
        return set(session.scalars(select(Contact.first_name).join(Tag, Tag.contact_id == Contact.id).where(Tag.tag == tag)))  # type: ignore[arg-type]


def test_tags_are_undone(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/contacts") as page:
        choose(page, "Anna Meier")
        choose(page, "Felix Baumann")
        page.see_until("2 selected")
        fill(page, "Name of the tag", "vip")
        page.press("Add tag")
        page.see_until("Undo")
        assert tagged(town, "vip") == {"Anna", "Felix"}
        page.press("Undo")
        page.see_until("Tag removed.")
    assert tagged(town, "vip") == {"Felix"}, "who had the tag before keeps it"


def test_nobody_is_enrolled_unseen(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/contacts") as page:
        choose(page, "Felix Baumann")
        choose(page, "Anna Meier")
        page.see_until("2 selected")
        fill(page, "Journey", "welcome")
        page.press("Preview who enters")
        page.see_until("1 of 2 would enter “Welcome”.")
        assert "1 ×: The contact had been in this journey before" in page.text
        with town.db.read() as session:
            before = len(session.scalars(select(Run.id)).all())
        page.press("Enrol now")
        page.see_until("All contacts who may enter the journey have entered it.")
    with town.db.read() as session:
        assert len(session.scalars(select(Run.id)).all()) == before + 1


@pytest.fixture
def crowd(town: Any) -> None:
    """More people than a page shows, without a tag or a journey."""
    now = town.engine.clock.now()
    with town.db.write() as session:
        session.add_all(
            [Contact(first_name=f"Crowd {number}", lifecycle_stage="crowd", created_at=now, updated_at=now) for number in range(70)]
        )


def line(text: str) -> str:
    return " ".join(text.split())


def choose_all(page: Any) -> None:
    page.press("All 70 matching")
    page.see_until("For all of them")


def work_of(town: Any) -> Job:
    with town.db.read() as session:
        return jobs.list_jobs(session)[0]


def test_all_that_fit_are_tagged_as_long_work(log_in: Any, opened: Any, town: Any, crowd: None) -> None:
    marketer = log_in("marketer")
    with opened(marketer, "/ui/contacts?stage=crowd") as page:
        choose_all(page)
        fill(page, "Name of the tag", "  ")
        page.press("Add tag")
        page.see_until("Expected a tag with 1 to 120 characters.")
        assert "View progress" not in page.text
        fill(page, "Name of the tag", "fair")
        page.press("Add tag")
        page.see_until("View progress")
    assert tagged(town, "fair") == set()
    do_page(town.engine, work_of(town).id)
    assert "Add the tag fair In progress 25 of 70 · changed: 25" in line(say(opened, marketer, "/ui/settings/work"))
    while work_of(town).state == "running":
        do_page(town.engine, work_of(town).id)
    assert tagged(town, "fair") == {f"Crowd {number}" for number in range(70)}
    assert "Add the tag fair Done 70 of 70 · changed: 70" in line(say(opened, marketer, "/ui/settings/work"))


def test_all_that_fit_are_enrolled_after_a_look_and_the_work_can_be_stopped(log_in: Any, opened: Any, town: Any, crowd: None) -> None:
    marketer = log_in("marketer")
    with opened(marketer, "/ui/contacts?stage=crowd") as page:
        choose_all(page)
        fill(page, "Journey", "mql_to_sql")
        page.press("Preview who enters")
        page.see_until("70 of 70 would enter “MQL to SQL”.")
        page.press("Enrol now")
        page.see_until("View progress")
    do_page(town.engine, work_of(town).id)
    assert "Stop" not in say(opened, log_in("viewer"), "/ui/settings/work")
    with opened(log_in("marketer"), "/ui/settings/work") as page:
        assert "Enrol contacts in “MQL to SQL” In progress 25 of 70 · entered: 25" in line(page.text)
        page.press("Stop now")
        page.see_until("The job was stopped.")
        page.see_until("Cancelled")
    do_page(town.engine, work_of(town).id)
    assert (work_of(town).state, work_of(town).done) == ("cancelled", 25)


def test_who_only_sells_chooses_page_by_page(log_in: Any, opened: Any, crowd: None) -> None:
    text = say(opened, log_in("sales"), "/ui/contacts?stage=crowd")
    assert "Alle auf dieser Seite auswählen" in text
    assert "Alle 70 passenden" not in text


def test_viewers_choose_nothing(log_in: Any, opened: Any) -> None:
    text = say(opened, log_in("viewer"), "/ui/contacts")
    assert "Choose" not in text
    assert "Export CSV" not in text
    assert "New contact" not in text


# One contact


def test_fields_are_changed_and_what_is_wrong_is_said(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with opened(log_in("marketer"), f"/ui/contacts/{anna}?view=edit") as page:
        fill(page, "E-mail", "nonsense")
        page.press("Save")
        page.see_until("E-mail: This is not an e-mail address.")
        fill(page, "E-mail", "anna@new.example.org")
        fill(page, "Another field", "plan")
        fill(page, "its value (leave empty to remove it)", "pro")
        page.press("Save")
        page.see_until("Contact saved.")
    with town.db.read() as session:
        contact = session.get_one(Contact, anna)
        assert (contact.email, contact.first_name, contact.attributes["plan"]) == ("anna@new.example.org", "Anna", "pro")


def test_a_consent_by_hand_needs_a_source_and_is_audited(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    client = log_in("marketer")
    with opened(client, f"/ui/contacts/{anna}?view=edit") as page:
        page.press("Record consent")
        page.see_until("without a source, consent proves nothing")
        fill(page, "Answer", "withdrawn")
        fill(page, "Source", "by phone")
        fill(page, "Wording", "Please stop.")
        page.press("Record consent")
        page.see_until("Consent recorded.")
    with town.db.read() as session:
        assert consent.state(session, anna, "email", "marketing") == "withdrawn"
        line = session.scalars(select(Audit).where(Audit.action == "contact.consent")).one()
        assert line.detail == {"channel": "email", "purpose": "marketing", "state": "withdrawn"}
    text = say(opened, client, f"/ui/contacts/{anna}?view=consents")
    assert "Please stop." in text
    assert "Ja, gern." in text
    assert "by: member:" in text


def test_an_address_is_suppressed_by_many_and_lifted_by_admins(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with opened(log_in("sales"), f"/ui/contacts/{anna}?view=edit") as page:
        page.press("Adresse sperren")
        page.see_until("Die Adresse ist gesperrt.")
        assert "Sperre aufheben" not in page.text
    with opened(log_in("admin"), f"/ui/contacts/{anna}?view=edit") as page:
        page.press("Unsuppress")
        page.see_until("Enter what has changed since")
        fill(page, "What has changed since (recorded in the audit trail)", "asked for it by letter")
        page.press("Unsuppress the address")
        page.see_until("The address may get messages again.")
    with town.db.read() as session:
        assert suppression.is_suppressed(session, town.engine.address_keys, "email", "anna@mail.example.org") is None


def test_erasing_asks_for_the_word(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    assert "Erase" not in say(opened, log_in("marketer"), f"/ui/contacts/{anna}?view=edit")
    with opened(log_in("admin"), f"/ui/contacts/{anna}?view=edit") as page:
        page.press("Delete permanently")
        page.see_until("The word was not typed; nothing was deleted.")
        fill(page, "Type ERASE to continue", "ERASE")
        page.press("Delete permanently")
        page.see_until("The contact's data is deleted.")
    with town.db.read() as session:
        contact = session.get_one(Contact, anna)
        assert contact.erased_at is not None
        assert contact.email is None
        assert [job.subject for job in session.scalars(select(Job).where(Job.kind == "erase_rest"))] == [f"contact:{anna}"]
    assert "Search files and notes for an erased contact" in say(opened, log_in("admin"), "/ui/settings/work")


def test_a_new_contact_by_hand(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/contacts/new") as page:
        page.press("Create contact")
        page.see_until("An e-mail address, a phone number or a user id is required.")
        fill(page, "First name", "Rosa")
        fill(page, "E-mail", "anna@mail.example.org")
        page.press("Create contact")
        page.see_until("already exists.")
        fill(page, "E-mail", "rosa@example.org")
        page.press("Create contact")
        page.see_until("Contact created.")
        assert "View contact" in page.text
    with town.db.read() as session:
        assert session.scalars(select(Contact.first_name).where(Contact.email == "rosa@example.org")).one() == "Rosa"


def test_the_story_is_searched_and_shows_scores(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("viewer")
    julia = town.people["Julia"]
    assert "Score engagement : +85" in say(opened, client, f"/ui/contacts/{julia}?kind=score")
    found = say(opened, client, f"/ui/contacts/{town.people['Felix']}?q=order")
    assert "Order Completed" in found
    assert "Checkout Started" not in found


def test_the_story_says_what_a_call_might_not_change(log_in: Any, opened: Any, town: Any) -> None:
    felix = town.people["Felix"]
    refused = {"first_name": "filled", "phone": "invalid_phone"}
    with town.db.write() as session:
        append_event(session, felix, "identify", "Identified", {"refused": refused}, town.now)
        append_event(session, felix, "track", "Return Requested", {"refused": {"gift": "filled"}}, town.now)
    told = say(opened, log_in("viewer"), f"/ui/contacts/{felix}")
    assert "Not taken over: first_name (already filled), phone (cannot be stored)" in told
    assert "gift" not in told


# Lists as files


def rows_of(client: Any, path: str) -> list[list[str]]:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in answer.content
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_contacts_as_a_file_in_the_language_of_whoever_takes_it(log_in: Any, town: Any) -> None:
    with town.db.write() as session:
        session.get_one(Contact, town.people["Anna"]).last_name = "=HYPERLINK(1)"
    rows = rows_of(log_in("sales"), "/ui/export/contacts.csv?q=anna")
    assert rows[0][:5] == ["Kontakt-ID", "Vorname", "Nachname", "E-Mail", "Telefon"]
    assert rows[1][1:4] == ["Anna", "'=HYPERLINK(1)", "anna@mail.example.org"]
    assert rows[1][rows[0].index("Angelegt")].endswith("Z")
    assert len(rows) == 2
    with town.db.read() as session:
        [line] = session.scalars(select(Audit).where(Audit.action == "export.list"))
        assert (line.subject, line.detail) == ("list:contacts", {"rows": 1})


def test_files_are_read_in_pages(log_in: Any, town: Any) -> None:
    with town.db.write() as session:
        session.add_all(Contact(email=f"many{n}@example.org", created_at=town.now, updated_at=town.now) for n in range(450))
    client = log_in("marketer")
    for sort in ("created", "name"):
        rows = rows_of(client, f"/ui/export/contacts.csv?sort={sort}")
        assert len({row[0] for row in rows[1:]}) == len(rows) - 1 == 462


@pytest.mark.parametrize("path", ["contacts.csv", "runs.csv?journey=welcome", "tasks.csv?owner=all", "outbox.csv"])
def test_every_list_is_a_file_but_not_for_everybody(log_in: Any, client: Any, path: str) -> None:
    assert len(rows_of(log_in("marketer"), f"/ui/export/{path}")) > 1
    for role in ("viewer", "admin"):
        assert log_in(role).get(f"/ui/export/{path}").status_code == (403 if role == "viewer" else 200)
    assert client.get("/ui/export/secrets.csv").status_code == 404
    assert client.get("/ui/export/runs.csv?journey=nothing").status_code == 404


def test_the_bundle_of_a_person_is_for_admins(log_in: Any, town: Any) -> None:
    anna = town.people["Anna"]
    assert log_in("marketer").get(f"/ui/contacts/{anna}/data.json").status_code == 403
    answer = log_in("admin").get(f"/ui/contacts/{anna}/data.json")
    assert answer.json()["contact"]["email"] == "anna@mail.example.org"


@pytest.mark.parametrize("text", ["=1+1", "+41 44 1", "-5", "@x", "\tx", "plain", "'quoted", ""])
def test_no_cell_is_a_formula_and_every_cell_comes_back(text: str) -> None:
    assert cell_of(text)[:1] not in ("=", "+", "-", "@", "\t")
    assert plain_of(cell_of(text)) == text
    [[back]] = csv.reader(io.StringIO(line_of([text or "x"])))
    assert plain_of(back) == (text or "x")


# Tasks


def test_a_task_by_hand(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), f"/ui/tasks?owner=all&contact={town.people['Anna']}") as page:
        page.press("Create task")
        page.see_until("Enter what needs to be done.")
        fill(page, "What needs to be done", "Call Anna back")
        fill(page, "Due", "2020-01-01T09:00")
        fill(page, "Outcomes (separated by commas; default: done)", "reached, not reached")
        page.press("Create task")
        page.see_until("Task created.")
        assert page.text.index("Call Anna back") < page.text.index("Call Julia Frei"), "the most pressing first"
        assert "Overdue since" in page.text
    with town.db.read() as session:
        task = session.scalars(select(Task).where(Task.title == "Call Anna back")).one()
        assert (task.outcomes, task.owner, task.contact_id) == (["reached", "not reached"], town.members["marketer"], town.people["Anna"])
        assert task.due_at is not None
        assert task.due_at.isoformat() == "2020-01-01T08:00:00+00:00", "in the zone of whoever typed it"
