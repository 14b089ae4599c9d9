"""A day of running journeys, in a real Chromium: archive and back, an earlier version, moving those who wait, search by keyboard, the tour once."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine.versions import publish
from models import Member
from tests.builder_ui.browsing import Enter, complaints
from workspace.stopped_accounts import stop

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("admin")


def test_a_journey_is_archived_and_taken_back(page: Page, town: Any) -> None:
    heard = complaints(page)
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Survey after a purchase"))
    card.get_by_text("Archive", exact=True).click()
    card.get_by_role("button", name="Archive now").click()
    expect(page.get_by_role("status")).to_contain_text("The journey is archived.")
    expect(card).to_have_count(0)
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(card).to_be_visible()
    card.get_by_text("More").click()
    card.get_by_label("Folder").fill("Shop")
    card.get_by_role("textbox", name="Tags, separated by commas").fill("spring, survey")
    card.get_by_role("button", name="Save").click()
    expect(card.get_by_role("link", name="spring")).to_be_visible()
    page.locator(".filters").get_by_label("Folder").select_option("Shop")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("article")).to_have_count(1)
    assert heard == []


def test_an_earlier_version_comes_back(page: Page, town: Any) -> None:
    town.republish(name="Welcome, patiently")
    page.goto("/ui/journeys/welcome?tab=versions")
    first = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Version 1", exact=True))
    first.get_by_role("link", name="Roll back").click()
    expect(page.get_by_text("name changes from Welcome, patiently to Welcome.").first).to_be_visible()
    page.get_by_role("button", name="Roll back now").click()
    expect(page.get_by_role("status")).to_contain_text("The earlier version is live again, as a new version.")
    expect(page.get_by_role("heading", name="Version 3", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Welcome", exact=True)).to_be_visible()
    assert town.journey("welcome").live_version == 3


def test_those_who_wait_are_moved_and_put_back(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto(town.without_two_days())
    page.get_by_label(re.compile("Two days")).select_option("pause")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("4 wait at")).to_be_visible()
    expect(page.get_by_role("heading", name="Right away")).to_be_visible()
    expect(page.locator(".dry-run")).to_contain_text("4 would then wait at Wait.")
    page.get_by_text("Move 5 contacts").click()
    page.get_by_role("button", name="Move now").click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("5 were moved.", timeout=15_000)
    result.get_by_text("Roll back", exact=True).click()
    result.get_by_role("button", name="Move back").click()
    expect(result).to_contain_text("5 were moved back.", timeout=15_000)
    assert heard == []


def test_the_search_is_used_by_keyboard(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search everything")
    expect(field).to_be_focused()
    page.keyboard.type("anna")
    expect(page.get_by_role("option", name=re.compile("Anna Meier"))).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name=re.compile("Anna Meier"))).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.keyboard.type(" m")
    expect(page.get_by_role("option", name=re.compile("Anna Meier"))).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Anna Meier", level=1)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("welcome")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()
    expect(page.locator(".found").get_by_role("link", name="Welcome", exact=True)).to_be_visible()
    search = page.locator("#app").get_by_role("searchbox")
    search.fill("a/b")
    expect(search).to_have_value("a/b")
    assert heard == []


def test_the_tour_is_shown_once(served: None, enter: Enter, town: Any) -> None:
    with town.db.write() as session:
        session.get_one(Member, town.members["admin"]).preferences = {}
    page = enter("admin")
    tour = page.get_by_role("dialog")
    expect(tour).to_contain_text("Welcome to Pfadwerk")
    expect(tour.get_by_role("heading")).to_be_focused()
    for title in ("One journey", "The builder", "A contact's path", "The outbox"):
        tour.get_by_role("button", name="Next").click()
        expect(tour).to_contain_text(title)
    tour.get_by_role("button", name="Finish the tour").click()
    expect(page.get_by_role("heading", name="Outbox", level=1)).to_be_visible()
    expect(tour).to_have_count(0)
    page.goto("/ui/journeys")
    expect(page.get_by_role("heading", name="Journeys", level=1)).to_be_visible()
    expect(tour).to_have_count(0)
    page.get_by_role("button", name="Tour").click()
    expect(tour).to_contain_text("Welcome to Pfadwerk")
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_what_lies_over_the_page_hides_nothing_else_that_does(served: None, enter: Enter, town: Any, size: Any) -> None:
    with town.db.write() as session:
        session.get_one(Member, town.members["admin"]).preferences = {}
        stop(session, "smtp.default", "refused", town.engine.clock.now())
    page = enter("admin")
    page.set_viewport_size(size)
    page.locator("#offline").evaluate("banner => { banner.hidden = false; }")
    boxes = []
    for one in ("#offline", ".alarm", "#tour"):
        expect(page.locator(one)).to_be_visible()
        boxes.append(page.locator(one).bounding_box())
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]
    assert boxes[0]["y"] >= 0
    assert boxes[-1]["y"] + boxes[-1]["height"] <= size["height"]
    page.locator(".alarm").get_by_role("link", name="What to do").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Provider accounts")


def test_a_phone_has_a_menu_and_everything_within_reach(page: Page, town: Any) -> None:
    page.set_viewport_size(PHONE)
    for path in (
        "/ui/journeys",
        "/ui/journeys/welcome",
        "/ui/journeys/birthday?tab=stuck",
        "/ui/journeys/welcome?tab=versions",
        "/ui/search?q=welcome",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    page.goto("/ui/journeys/welcome")
    page.get_by_text("Pause", exact=True).click()
    pause = page.get_by_role("button", name="Pause now")
    expect(pause).to_be_in_viewport()
    pause.click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("The journey continues.")
    page.goto("/ui/journeys/birthday?tab=stuck")
    page.get_by_text("Try all again", exact=True).click()
    everybody = page.get_by_role("button", name="Try all again now")
    expect(everybody).to_be_in_viewport()
    everybody.click()
    expect(page.get_by_text("No run is stuck.")).to_be_visible(timeout=15_000)
    menu = page.get_by_role("button", name="Menu")
    expect(page.get_by_role("link", name="Outbox")).to_be_hidden()
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_class("dark")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Outbox").click()
    expect(page.get_by_role("heading", name="Outbox", level=1)).to_be_visible()


def test_what_somebody_else_did_is_seen_within_seconds(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    with town.db.write() as session:
        publish.pause(town.engine, session, "welcome", "member:x", town.engine.clock.now())
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=10_000)
