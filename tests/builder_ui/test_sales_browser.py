"""Sales on the phone: lands on tasks, takes one, calls and finishes it with a note. Chromium with touch, 390 px wide, German."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from crm.people.profile import update_fields
from crm.sales import tasks
from journeys.changes import CreateTask
from models import Member

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "locale": "de-CH"}


@pytest.fixture
def page(site: Any, chrome: Browser) -> Any:
    """The seller, logged in by a link; a task of theirs, and one of nobody's."""
    town = site.town
    with town.db.write() as session:
        session.get_one(Member, town.members["sales"]).preferences = {}
        update_fields(session, town.people["Ben"], {"phone": "+41441234567"}, town.now, "test")
        for id, owner in (("mine", town.members["sales"]), ("free", None)):
            task = CreateTask(id=id, title=f"Call Ben ({id})", owner=owner, outcomes=("reached", "not_reached"))
            tasks.create(session, task, contact_id=town.people["Ben"], now=town.now, by="test")
    with site.served():
        context = site.context(chrome, **PHONE)
        page = context.new_page()
        page.goto(site.link("sales"))
        page.get_by_role("button").tap()
        yield page
        context.close()


def shot(page: Page, name: str) -> None:
    folder = os.environ.get("SHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def test_a_task_is_taken_called_and_finished_with_a_note_in_three_taps(page: Page, site: Any) -> None:
    expect(page).to_have_url(f"{site.settings.public_url}/ui/tasks")
    expect(page.get_by_role("heading", name="Aufgaben", level=1)).to_be_visible()
    expect(page.locator("#menu a").first).to_have_text("Aufgaben")
    expect(page.locator("#tour")).to_contain_text("Das sind Ihre Aufgaben")
    shot(page, "sales-landing")
    page.get_by_role("button", name="Rundgang überspringen").tap()
    expect(page.get_by_text("Call Ben (free)")).to_have_count(0)
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Call Ben (mine)"))
    card.get_by_role("button", name="Übernehmen").tap()
    call = card.get_by_role("link", name="+41441234567 anrufen")
    expect(call).to_have_attribute("href", "tel:+41441234567")
    card.get_by_role("textbox", name="Notiz").fill("Will im Mai ein Angebot.")
    shot(page, "sales-at-work")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    card.get_by_role("button", name="erreicht", exact=True).tap()
    expect(card).to_have_count(0)
    with site.town.db.read() as session:
        done = tasks.get(session, "mine")
        assert (done.outcome, done.note) == ("reached", "Will im Mai ein Angebot.")


def test_the_tour_of_sales_goes_on_to_the_contacts(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Weiter").tap()
    expect(page.locator("#tour")).to_contain_text("Die Seite eines Kontakts sagt")
    expect(page.get_by_role("heading", name="Kontakte", level=1)).to_be_visible()
    page.get_by_role("button", name="Rundgang beenden").tap()
    expect(page.locator("#tour")).to_have_count(0)
