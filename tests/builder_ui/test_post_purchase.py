"""The journey after a purchase, drawn by mouse in real Chromium with every click counted, from the list of journeys until it is live."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builder_ui.browsing import Enter, complaints
from tests.builder_ui.drawing import at_rest, connect, edges, saved, step, stored

MOST_CLICKS = 45
SEARCH = "Search steps"


class Hand:
    """A hand on a mouse: what it does is counted. A list to choose from takes two clicks, a connection drawn from step to step is one; typing
    into what has the focus already is none."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks = page, 0

    def click(self, target: Locator) -> None:
        self.clicks += 1
        target.click()

    def choose(self, target: Locator, value: str) -> None:
        self.clicks += 2
        target.select_option(value)

    def write(self, target: Locator, text: str) -> None:
        self.click(target)
        target.fill(text)
        target.press("Tab")

    def type(self, focused: Locator, text: str) -> None:
        """Into what the page has put the focus on."""
        expect(focused).to_be_focused()
        focused.press_sequentially(text)
        focused.press("Tab")

    def button(self, name: str) -> None:
        self.click(self.page.locator(".pfb-panel").get_by_role("button", name=name))

    def add(self, place: Locator, searched: str, found: str) -> None:
        """By the plus at an outlet or on a connection: its menu is searched and has the focus."""
        at_rest(self.page)
        self.click(place)
        self.page.keyboard.type(searched)
        expect(self.page.get_by_role("option").first).to_contain_text(found)
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".pfb-panel h2")).not_to_have_text("Journey")

    def draw(self, source: str, outlet: str, target: str) -> None:
        self.clicks += 1
        connect(self.page, source, outlet, target)


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_the_journey_after_a_purchase_takes_at_most_45_clicks(page: Page, town: Any) -> None:
    heard, hand, panel = complaints(page), Hand(page), page.locator(".pfb-panel")

    def way(name: str) -> Locator:
        return page.locator(f'[data-way="{name}"]')

    def field(id: str) -> Locator:
        return page.locator(f"#pfb-{id}")

    hand.click(page.get_by_role("link", name="New journey"))
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Blank journey"))
    hand.write(card.get_by_label("Name"), "After a purchase")
    hand.click(card.get_by_role("button", name="Create and draw"))
    expect(step(page, "Exit")).to_be_visible()
    key = page.url.split("/")[-2]

    # Who enters: every order from 50 on, once for each order; a refund of the same order ends it.
    hand.button("Add: Event happens")
    hand.type(field("entry-entry-triggers-0-event"), "Order Completed")
    hand.click(panel.locator(".pfb-item").first.get_by_role("button", name="Add a condition"))
    hand.type(panel.get_by_label("Field", exact=True), "total")
    hand.choose(panel.get_by_label("Comparison"), ">=")
    hand.write(panel.get_by_label("Value", exact=True), "50")
    hand.choose(panel.get_by_label("How often a contact may enter"), "per_key")
    hand.write(panel.get_by_label("Unique key"), "order_id")
    hand.button("Who exits early")
    hand.button("Add to “Ends at once when”")
    hand.type(field("entry-exit_when-0-event"), "Order Refunded")
    hand.write(panel.get_by_label("Same value of"), "order_id")
    hand.button("Settings")
    hand.choose(panel.get_by_label("Consent purpose"), "marketing")

    # A wait, a mail, and until it is opened or three days are over.
    hand.add(way("$entry:next"), "delay", "Wait")
    hand.write(field("wait-duration"), "3")
    hand.add(way("wait:next"), "newsletter", "Send e-mail")
    hand.choose(field("send_email-template"), "welcome-1-hello")
    hand.add(way("send_email:sent"), "opened or", "Wait until opened or clicked")
    hand.write(field("wait_for-timeout"), "3")

    # Who opened is asked for a review, everybody else gets an SMS; then VIPs take part in a test.
    hand.add(way("wait_for:opened"), "mail", "Send e-mail")
    hand.choose(field("send_email_2-template"), "welcome-1-hello")
    hand.add(page.get_by_role("button", name="Add a step after “time is up”"), "sms", "Send SMS")
    hand.write(field("send_sms-text"), "How do you like it?")
    hand.add(way("send_email_2:sent"), "condition", "If / else")
    hand.button("Add a condition: Tag")
    hand.type(panel.get_by_label("Tag", exact=True), "vip")
    hand.draw("Send SMS", "sent", "If / else")
    hand.add(way("if_else:yes"), "a/b", "Split")
    for arm, mail in (("a", "send_email_3"), ("b", "send_email_4")):
        place = way("split:a") if arm == "a" else page.get_by_role("button", name="Add a step after “b”")
        hand.add(place, "mail", "Send e-mail")
        hand.choose(field(f"{mail}-template"), "welcome-1-hello")
    # What is still open ends.
    for id, outlet in (("send_email_4", "sent"), ("if_else", "no")):
        card = page.locator(f'.react-flow__node[data-id="{id}"]')
        hand.add(card.get_by_role("button", name=f"Add a step after “{outlet}”"), "exit", "Exit")
    saved(page)
    expect(page.locator(".pfb-problem.error")).to_have_text([])

    hand.click(page.get_by_role("button", name="Publish"))
    hand.click(page.get_by_role("button", name="Publish now"))
    expect(page.get_by_text("Version 1 is live.")).to_be_visible(timeout=30_000)
    document = stored(town, key)
    assert {
        ("split", "a", "send_email_3"),
        ("split", "b", "send_email_4"),
        ("send_sms", "sent", "if_else"),
        ("if_else", "no", "exit_3"),
    } <= edges(document)
    assert document.nodes["wait_for"]["branches"][0]["rule"]["rules"] == [
        {"message": "opened", "node": "send_email"},
        {"message": "clicked", "node": "send_email"},
    ]
    assert document.entry.reentry.key == "order_id"
    print(f"{hand.clicks} clicks")
    assert hand.clicks <= MOST_CLICKS
    assert heard == []
