"""How the pages lie on a desk and on a phone, in German, whose words are the longer ones. Real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from sqlalchemy import update

from crm.people.profile import update_fields
from models import Member
from tests.builder_ui.drawing import pick, step

PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1366, height=768)
Look = Callable[[ViewportSize], Page]


@pytest.fixture
def look(site: Any, chrome: Browser) -> Any:
    """A German administrator at a window of some size."""
    with site.town.db.write() as session:
        session.execute(update(Member).where(Member.role == "admin").values(locale="de"))
        incomplete = {"line1": "Bahnhofstrasse 1", "postal_code": "80", "city": "Zürich", "country": "CH"}
        update_fields(session, site.town.people["Anna"], {"postal_address": incomplete}, site.town.now, "test")
    context = site.context(chrome, locale="de-CH", viewport=DESK)

    def look(size: ViewportSize) -> Page:
        page = context.new_page()
        page.goto(site.link("admin"))
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", name="Journeys", level=1)).to_be_visible()
        page.set_viewport_size(size)
        return page

    with site.served():
        yield look
        context.close()


def wider(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_no_page_is_wider_than_a_phone(look: Look, site: Any) -> None:
    page = look(PHONE)
    anna, run = site.town.people["Anna"], site.town.run_of("Anna")
    there = [
        "journeys/welcome",
        "journeys/welcome?tab=runs",
        "contacts",
        f"contacts/{anna}",
        f"runs/{run}",
        "outbox",
        "tasks",
        "settings/audit",
    ]
    for place in there:
        page.goto(f"/ui/{place}")
        expect(page.locator("#app h1").first).to_be_visible()
        assert wider(page) == 0, place


def test_the_whole_toolbar_of_the_canvas_is_on_a_phone(look: Look) -> None:
    page = look(PHONE)
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    for button in page.get_by_role("toolbar").get_by_role("button").all():
        expect(button).to_be_in_viewport(ratio=1)


def test_the_filters_of_the_contacts_open_beneath_their_title_side_by_side(look: Look) -> None:
    page = look(DESK)
    page.goto("/ui/contacts")
    title = page.get_by_text("Filter", exact=True)
    title.click()
    first, second = page.get_by_label("Mit dem Schlagwort"), page.get_by_label("Phase")
    places = [one.bounding_box() for one in (title, first, second)]
    assert all(places)
    above, left, right = (place or {} for place in places)
    assert above["y"] < left["y"] == right["y"]
    assert left["x"] < right["x"]


def test_a_choice_in_a_condition_can_be_read(look: Look) -> None:
    page = look(DESK)
    page.goto("/ui/journeys/welcome/edit")
    pick(page, "Read the first one?")
    for name in ("Nachricht des Schritts", "Was geschah"):
        box = page.get_by_label(name).first.bounding_box()
        assert box is not None
        assert box["width"] > 110, name


def test_what_deletes_a_step_of_the_outline_lies_beneath_its_name_on_a_phone(look: Look) -> None:
    page = look(PHONE)
    page.goto("/ui/journeys/survey/edit")
    page.get_by_role("button", name="Liste").click()
    line = page.locator(".pfb-line").filter(has=page.get_by_role("button", name="Make a voucher"))
    name, delete = line.locator(".pfb-name").bounding_box(), line.get_by_role("button", name="Schritt 1 löschen").bounding_box()
    assert name is not None
    assert delete is not None
    assert delete["x"] >= name["x"]
    assert delete["width"] > 50
