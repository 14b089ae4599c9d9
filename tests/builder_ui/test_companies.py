"""The pages of companies: the list, a new one, one from all sides, two people at once, and the company on the contact's page."""

from __future__ import annotations

from typing import Any

from crm.companies import companies, members
from engine.companies import roller
from models import Company
from tests.builder_ui.test_accessibility import company
from tests.builder_ui.test_contacts import fill


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return " ".join(page.text.split())


def test_from_nothing_to_a_company_that_a_contact_belongs_to(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    assert "No companies yet." in say(opened, client, "/ui/companies")
    with opened(client, "/ui/new-company") as page:
        page.press("Create company")
        page.see_until("Expected a name of 1 to 200 characters.")
        fill(page, "Name", "Nordwind AG")
        fill(page, "Domains, separated by commas", "nonsense")
        page.press("Create company")
        page.see_until("“nonsense” is not a domain")
        fill(page, "Domains, separated by commas", "https://www.nordwind.example, nordwind.ch")
        fill(page, "Another field", "employees")
        fill(page, "its value (leave empty to remove it)", "12")
        page.press("Create company")
        page.see_until("View company")
    with town.db.read() as session:
        [one] = session.query(Company).all()
        assert (one.domain, one.attributes) == ("nordwind.example", {"employees": 12})
    with opened(client, f"/ui/contacts/{town.people['Carla']}?view=company&company=nordwind.c") as page:
        page.see_until("This contact belongs to no company.")
        page.press("Choose")
        page.see_until("Company chosen.")
    roller.settle(town.engine)
    text = say(opened, client, f"/ui/companies/{one.id}")
    assert "Carla" in text
    assert "by hand" in text
    assert "nordwind.ch, nordwind.example" in text
    assert "Nordwind AG" in say(opened, client, "/ui/search?q=nordwind")
    assert "Joined the company Nordwind AG" in say(opened, client, f"/ui/companies/{one.id}?view=timeline")
    rows = client.get("/ui/export/companies.csv?q=nord").text.splitlines()
    assert len(rows) == 2
    assert "Nordwind AG" in rows[1]
    with opened(client, f"/ui/companies/{one.id}") as page:
        page.press("Remove")
        page.see_until("Removed from the company.")
    with town.db.read() as session:
        assert members.of_contact(session, town.people["Carla"]) is None


def test_two_people_change_one_company_and_neither_overwrites_the_other(log_in: Any, opened: Any, town: Any) -> None:
    path = company(town, "?view=edit")
    id = path.rpartition("/")[2].partition("?")[0]
    with opened(log_in("marketer"), path) as page:
        fill(page, "industry", "Machines")
        with town.db.write() as session:
            companies.change(session, id, "other", town.now, fields={"industry": "Trade"})
        page.press("Save")
        page.see_until("Somebody else has changed this company")
        page.press("Begin again with what is stored")
        page.see_until("Loaded anew.")
        fill(page, "employees", "13")
        page.press("Save")
        page.see_until("Company saved.")
    with town.db.read() as session:
        assert companies.get(session, id).attributes == {"industry": "Trade", "employees": 13, "plan": "pro"}


def test_merging_and_deleting_ask_and_are_for_those_who_may(log_in: Any, opened: Any, town: Any) -> None:
    path = company(town, "?view=edit&find=acme.d")
    assert "Endgültig" not in say(opened, log_in("sales"), path), "who sells merges and deletes none"
    assert "Save" not in say(opened, log_in("viewer"), path), "who looks changes none"
    with opened(log_in("marketer"), path) as page:
        assert "This cannot be undone." in page.text
        page.press("Merge permanently")
        page.see_until("The companies were merged.")
        page.press("Delete permanently")
        page.see_until("There is no company at this address")
    with town.db.read() as session:
        assert {row.gone for row in session.query(Company)} == {"merged", "deleted"}


def test_garbage_in_the_address_shows_the_first_page(log_in: Any, opened: Any, town: Any) -> None:
    path, client = company(town), log_in("viewer")
    for query in ("?before=%00'", "?sort=nothing&owner=nobody", "?q=" + "x" * 300):
        assert "Companies" in say(opened, client, f"/ui/companies{query}")
    assert "Anna" in say(opened, client, f"{path}?before=~&view=nothing") or "no contacts" in say(opened, client, f"{path}?before=~")
    assert "Acme" in say(opened, client, f"{path}?view=timeline&before=-1")
    assert "There is no company" in say(opened, client, "/ui/companies/nobody")
