"""What somebody types into a form by keyboard: Enter says it once and leaves them where they are. Real Chromium."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.builder_ui.browsing import Enter, complaints, eventually
from tests.builder_ui.drawing import begin, into_form, offer, pick, saved, step, stored


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def said(page: Page) -> list[str]:
    """What fields say to the server from now on, by being left or by Enter."""
    texts: list[str] = []

    def hear(frame: str | bytes) -> None:
        for event in json.loads(frame).get("data", ()):
            if isinstance(event, dict) and event.get("type") == "focusout":
                texts.append(event["target"]["value"])

    page.on("websocket", lambda socket: socket.on("framesent", hear))
    return texts


def test_enter_says_what_is_written_once_and_keeps_the_place(page: Page, town: Any) -> None:
    heard, texts = complaints(page), said(page)
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    into_form(page, "voucher")
    name = page.get_by_label("Name", exact=True)
    name.fill("First")
    page.keyboard.press("Enter")
    expect(step(page, "First")).to_be_visible()
    expect(name).to_be_focused()

    # Who writes on is left alone, whatever is drawn meanwhile.
    page.keyboard.type(" and")
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "true", timeout=30_000)
    expect(page.locator(".pfb-status")).to_have_text("Saving …")  # what stands in the field is stored nowhere yet
    expect(name).to_have_value("First and")
    page.keyboard.type(" last")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Address", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(step(page, "First and last")).to_be_focused()
    saved(page)
    assert stored(town, "survey").nodes["voucher"]["name"] == "First and last"
    assert texts == ["First", "First and last"]
    assert heard == []


ENTER_BEFORE_A_LATE_DRAWING = """(field) => {
  field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
  field.value = 'Make a voucher';
  return field.value;
}"""


def test_a_drawing_from_before_enter_takes_no_text_away(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/survey/edit")
    pick(page, "Make a voucher")
    name = page.get_by_label("Name", exact=True)
    name.fill("First")
    assert name.evaluate(ENTER_BEFORE_A_LATE_DRAWING) == "First"
    expect(step(page, "First")).to_be_visible()
    name.press_sequentially(" and last")
    name.press("Enter")
    expect(step(page, "First and last")).to_be_visible()
    expect(name).to_have_value("First and last")


def test_a_field_shows_what_became_of_its_text(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/survey/edit")
    pick(page, "Make a voucher")
    name = page.get_by_label("Name", exact=True)
    name.fill("  Make a voucher ")
    name.press("Enter")
    expect(name).to_have_value("Make a voucher")
    expect(name).to_be_focused()

    # 7 days are a week: said a second time they would be seven.
    offer(page, "Wait").click()
    pick(page, "Wait")
    field = page.get_by_label("How long", exact=True)
    field.fill("7")
    field.press("Enter")
    field.press("Tab")
    expect(field).to_have_value("1")
    expect(page.get_by_label("Unit")).to_have_value("W")
    expect(step(page, "Wait")).to_contain_text("1 week")
    saved(page)
    assert stored(town, "survey").nodes["wait"]["duration"] == "P7D"


def test_a_field_that_its_own_answer_draws_anew_keeps_the_focus(page: Page, town: Any) -> None:
    begin(page, "redrawn")
    offer(page, "Split").click()
    pick(page, "Split")
    share = page.get_by_label("Share in percent").first
    share.fill("30")
    share.press("Enter")
    expect(page.get_by_label("Share in percent").last).to_have_value("70")
    expect(share).to_be_focused()

    offer(page, "Update contact").click()
    pick(page, "Update contact")
    names = page.locator(".pfb-panel").get_by_label("Field", exact=True)
    before = names.count()
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(names).to_have_count(before + 1)
    field = names.last
    field.fill("hobby")
    field.press("Enter")
    eventually(page, lambda: "hobby" in stored(town, "redrawn").nodes.get("update_contact", {}).get("set", {}))
    expect(field).to_have_value("hobby")
    expect(field).to_be_focused()


class Slow:
    """A line between a page and the server that can hold back what the server says."""

    def __init__(self, page: Page) -> None:
        self.holding, self.held = False, list[str | bytes]()
        page.route_web_socket(re.compile("/_reactpy/stream"), self._join)

    def _join(self, browser: WebSocketRoute) -> None:
        self.browser = browser
        browser.connect_to_server().on_message(lambda said: self.held.append(said) if self.holding else browser.send(said))

    def release(self) -> None:
        self.holding = False
        for said in self.held:
            self.browser.send(said)


def test_a_press_on_what_was_seen_counts_though_the_list_is_another_by_now(page: Page, town: Any) -> None:
    line = Slow(page)
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Follow a contact").click()
    anna = page.locator(".pfb-candidates").get_by_role("button", name=re.compile("Anna Meier")).first
    expect(anna).to_be_visible()
    page.get_by_label("Name or e-mail").fill("Ben")
    line.holding = True
    page.keyboard.press("Enter")
    eventually(page, lambda: "Runs of “Ben”" in str(line.held))
    anna.click()
    line.release()
    expect(page.get_by_role("region", name="What happened")).to_contain_text("Anna Meier")


LATE = """
const soon = window.setTimeout;
window.setTimeout = (act, ms, ...rest) => soon(ms === 60 ? () => { act(...rest); window.followed = (window.followed ?? 0) + 1; } : act, ms === 60 ? 700 : ms, ...rest);
"""
"""The canvas follows a new step onto its card late, as on a machine that has much to do."""


def test_whoever_pressed_on_meanwhile_is_not_called_back_to_the_card(page: Page, town: Any) -> None:
    line = Slow(page)
    page.add_init_script(LATE)
    begin(page, "called_back")
    offer(page, "If / else").click()
    expect(page.locator(".pfb-panel h2")).to_have_text("If / else")
    line.holding = True
    page.locator(".pfb-panel").get_by_role("button", name="Add a condition: Tag").click()
    page.evaluate("document.activeElement.blur()")  # as when what was pressed is gone
    eventually(page, lambda: page.evaluate("window.followed > 0"))
    line.release()
    expect(page.locator(".pfb-panel").get_by_label("Tag", exact=True)).to_be_focused()
