"""A marketer's first look around, in a real Chromium against a real uvicorn: in by the link, every page, a pause, a mail."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from models import OutboxItem
from tests.builder_ui.browsing import Enter, Serve, complaints


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("admin")


def test_a_first_look_around(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.get_by_role("link", name="Welcome", exact=True).click()
    expect(page.get_by_role("heading", name="Read the first one?")).to_be_visible()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Runs").click()
    page.get_by_role("row", name=re.compile("Anna Meier")).get_by_role("link", name="Show").click()
    expect(page.get_by_text("opened Welcome 1", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("found: once"))).to_be_visible()
    page.get_by_role("link", name="Anna Meier").click()
    expect(page.get_by_text("did not enter")).to_be_visible()
    page.get_by_role("link", name="Tasks", exact=True).first.click()
    page.get_by_role("link", name="All members").click()
    expect(page.get_by_role("heading", name="Call Julia Frei")).to_be_visible()
    page.get_by_role("link", name="Contacts").click()
    page.get_by_role("searchbox").fill("carl")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("link", name="Carla Rossi")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    assert heard == []


def test_pausing_asks_first_and_then_holds(page: Page, town: Any) -> None:
    heard = complaints(page)
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Welcome"))
    card.get_by_text("Pause", exact=True).click()
    assert town.journey("welcome").state == "live"
    card.get_by_role("button", name="Pause now").click()
    expect(page.get_by_role("status")).to_contain_text("The journey is paused.")
    expect(card.get_by_text("Paused", exact=True)).to_be_visible()
    assert town.journey("welcome").state == "paused"
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_text("Live", exact=True)).to_be_visible()
    assert heard == []


def test_a_mail_is_rendered_without_its_scripts_and_fires_its_pixel(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.get_by_role("link", name="Outbox").click()
    page.get_by_role("searchbox").fill("grace")
    page.get_by_role("searchbox").press("Enter")
    with page.expect_response(re.compile("/o/")) as pixel:
        page.get_by_role("link", name="Ihr Warenkorb ist noch da").click()
    assert pixel.value.status == 200
    frame = page.frame_locator("iframe.mail")
    expect(frame.get_by_role("link").first).to_have_attribute("href", re.compile("/c/"))
    assert page.locator("iframe.mail").get_attribute("sandbox") == "allow-popups allow-popups-to-escape-sandbox"
    # The page notices by itself that its mail was opened.
    opened = page.locator(".side-panel .facts > div", has_text="Opened")
    expect(opened.get_by_role("time")).to_be_visible()
    page.get_by_role("link", name="Plain text").click()
    expect(page.locator("pre.mail-text")).to_contain_text("Warenkorb")
    page.get_by_role("link", name="Headers").click()
    expect(page.get_by_text("List-Unsubscribe", exact=True)).to_be_visible()
    assert heard == []


def heard_by(sink: socket.socket) -> bytes:
    """The first bytes that anybody sent to a listening socket. A connection alone is nothing: Chromium opens some in advance."""
    heard = b""
    while True:
        try:
            connection, _ = sink.accept()
            with connection:
                connection.settimeout(0.5)
                heard += connection.recv(1_000)
        except TimeoutError:
            return heard


HOSTILE = """<html><head><title>x</title></head><body><p>Read me</p>
<script>document.body.append("scripts run")</script>
<img src="x" onerror="document.body.append('handlers run')">
<img src="http://{elsewhere}/pixel.gif"><link rel="stylesheet" href="http://{elsewhere}/style.css">
<iframe src="http://{elsewhere}/frame"></iframe><form action="http://{elsewhere}/form"><button>Send</button></form></body></html>"""


def test_a_hostile_mail_reaches_nobody(page: Page, town: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sink:
        sink.settimeout(0.5)
        elsewhere = f"127.0.0.1:{sink.getsockname()[1]}"
        with town.db.write() as session:
            item = OutboxItem(
                idempotency_key="h", channel="email", recipient="x", html=HOSTILE.format(elsewhere=elsewhere), accepted_at=town.now
            )
            session.add(item)
            session.flush()
            address = f"/ui/outbox/{item.id}"
        page.goto(address)
        frame = page.frame_locator("iframe.mail")
        expect(frame.get_by_text("Read me")).to_be_visible()
        frame.get_by_role("button", name="Send").click()
        expect(frame.get_by_text("Read me")).to_be_visible()
        expect(frame.get_by_text("run")).to_have_count(0)
        assert heard_by(sink) == b""


def test_a_link_in_a_mail_opens_a_new_tab_and_counts_as_a_click(page: Page, context: BrowserContext, town: Any) -> None:
    def follow(route: Route) -> None:
        """As far as the shop's door: its address is on no machine of ours."""
        counted = route.fetch(max_redirects=0)
        route.fulfill(body=f"the shop at {counted.headers['location']}")

    context.route("**/c/*", follow)
    page.goto("/ui/outbox?q=anna")
    page.get_by_role("link", name="Schön, dass Sie dabei sind").click()
    with page.expect_popup() as tab:
        page.frame_locator("iframe.mail").get_by_role("link").first.click()
    expect(tab.value.get_by_text("the shop at https://www.example.com/de/start")).to_be_visible()
    clicked = page.locator(".side-panel .facts > div", has_text="Clicked")
    expect(clicked.get_by_role("time")).to_be_visible()


def test_a_task_is_finished_with_a_note(page: Page, town: Any) -> None:
    page.goto("/ui/tasks?owner=all")
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Call Julia Frei"))
    card.get_by_role("button", name="Take").click()
    expect(card.get_by_text("Taken", exact=True)).to_be_visible()
    card.get_by_text("Finish", exact=True).click()
    card.get_by_role("textbox", name="Note").fill("Wants an offer in May.")
    card.get_by_role("button", name="qualified").click()
    expect(page.get_by_role("heading", name="Call Julia Frei")).to_have_count(0)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Wants an offer in May.")).to_be_visible()


def test_the_language_can_be_changed_and_stays(page: Page, town: Any) -> None:
    page.get_by_role("button", name="DE").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.goto("/ui/outbox")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_a_lost_connection_is_told_and_the_page_goes_on_afterwards(town: Any, serve: Serve, enter: Enter) -> None:
    with serve():
        page = enter("admin")
        card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Welcome"))
        expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#offline")).to_contain_text("The connection is lost.")
    expect(card).to_be_visible()
    with serve():
        expect(page.locator("#offline")).to_be_hidden(timeout=20_000)
        card.get_by_text("Stop", exact=True).click()
        card.get_by_role("button", name="Stop permanently").click()
        expect(card.get_by_text("Stopped", exact=True)).to_be_visible()


def test_who_logs_out_is_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()
    page.goto("/ui/journeys")
    expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()
