"""What an act would bring about, read in a real Chromium before it is done: publishing with a schedule, and enrolling those who are chosen."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from crm.consent.consent import Evidence, record_consent
from engine.versions import publish
from tests.builder_ui.browsing import Enter, complaints, eventually


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("admin")


def scheduled(town: Any) -> None:
    """A draft of the welcome journey that lets everybody in every hour; Julia alone has taken her yes back."""
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        rule = {"field": "last_name", "operator": "!=", "value": "Nobody"}
        triggers = [{"type": "schedule", "cron": "0 * * * *", "rule": rule}]
        draft = {**journey.draft, "entry": {"triggers": triggers, "reentry": {"policy": "after_exit"}}}
        publish.save_draft(session, journey.id, draft, journey.revision, "test", town.now)
        withdrawn = {"evidence": Evidence.DATED, "source": "test"}
        record_consent(session, town.people["Julia"], "email", "marketing", "withdrawn", town.now, **withdrawn)


def test_the_dialog_before_publishing_says_who_is_due_next(page: Page, town: Any) -> None:
    heard = complaints(page)
    scheduled(town)
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Publish …").click()
    review = page.get_by_role("region", name="Before publishing")
    expect(review).to_contain_text("Publishing itself enrols no one and sends nothing.")
    expect(review).to_contain_text("Next occurrence of the schedule")
    expect(review).to_contain_text("7 of 12 who match would enter.")
    expect(review).to_contain_text("5 ×: The contact was still inside this journey.")
    expect(review).to_contain_text("6 would get Welcome 1 right away.")
    leaving = review.get_by_role("listitem").filter(has_text="1 would exit the journey right away: an exit rule came true")
    leaving.get_by_text("Show the first ones").click()
    expect(leaving.get_by_role("link", name="Julia Frei")).to_be_visible()
    review.get_by_role("button", name="Publish now").click()
    eventually(page, lambda: town.journey("welcome").live_version == 2)
    assert heard == []


def test_a_look_ahead_says_what_the_chosen_get_and_holds_for_one_version(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/contacts")
    for name in ("Felix Baumann", "Anna Meier", "Julia Frei"):
        page.get_by_role("checkbox", name=name).check()
    bar = page.get_by_role("region", name="With selected")
    bar.get_by_text("Enrol", exact=True).click()
    bar.get_by_label("Journey").select_option("welcome")
    bar.get_by_role("button", name="Preview who enters").click()
    expect(bar).to_contain_text("2 of 3 would enter “Welcome”.")
    expect(bar).to_contain_text("2 would get Welcome 1 right away.")
    expect(bar).to_contain_text("2 would then wait at A day.")
    town.republish(name="Welcome, patiently")
    bar.get_by_role("button", name="Enrol now").click()
    expect(page.get_by_role("status").first).to_contain_text("Version 2 was published in the meantime: preview again, then enrol.")
    assert heard == []
