"""In Chromium: a segment from nothing by mouse, with its count while it is written, filled, and why somebody is in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.builder_ui.browsing import Enter, complaints
from tests.builder_ui.test_segments import filled


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_a_segment_from_nothing_to_why_somebody_is_in_it(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.get_by_role("navigation", name="Menu").get_by_role("link", name="Segments").click()
    page.get_by_role("link", name="New segment").click()
    page.get_by_role("button", name="Add a condition: Field").click()
    page.get_by_role("combobox", name="Field", exact=True).fill("lifecycle_stage")
    page.get_by_role("combobox", name="Field", exact=True).press("Enter")
    page.get_by_role("combobox", name="Value").select_option("lead")
    now = page.get_by_role("complementary", name="Who would be in it now")
    expect(now).to_contain_text("5contacts")
    expect(now.get_by_role("link", name="Anna Meier")).to_be_visible()
    page.get_by_role("button", name="Add a condition: Tag").click()
    page.get_by_role("combobox", name="Tag", exact=True).fill("vip")
    page.get_by_role("textbox", name="Name").or_(page.get_by_label("Name", exact=True)).first.fill("Warm leads")
    expect(now).to_contain_text("0contacts")
    page.get_by_role("button", name="Remove condition 2").click()
    expect(now).to_contain_text("5contacts")
    page.get_by_role("button", name="Save segment").click()
    expect(page.get_by_text("Segment saved.")).to_be_visible()
    page.get_by_role("link", name="View segment").click()
    expect(page.get_by_text("Filling", exact=True)).to_be_visible()
    filled(town)
    expect(page.get_by_text("Up to date")).to_be_visible()
    page.get_by_role("link", name="Why Anna Meier is in it").click()
    expect(page.locator(".why")).to_contain_text(re.compile("In the segment.*lifecycle stage is “lead”.*lead"))
    assert heard == []
