"""“Saved” is what the page knows: the line turns by itself once the socket is gone or an edit is unanswered. Real Chromium, a server that is stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from builder_ui.kit.state_line import KNOWN
from engine.versions.publish import create_journey, get_journey
from models import new_id
from tests.builder_ui.browsing import eventually
from tests.builder_ui.drawing import form, offer, saved, step, stored, write

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SILENT, SILENT_UNSAVED = KNOWN["silent"][0], KNOWN["silent_unsaved"][0]
AWAY, AWAY_UNSAVED = KNOWN["away"][0], KNOWN["away_unsaved"][0]


class Server:
    """A web server process on an address that outlives it."""

    def __init__(self, site: Any, listening: socket.socket) -> None:
        self.site, self.listening = site, listening
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It starts unless it is there: that takes seconds."""
        if self.process is not None:
            return
        command = [sys.executable, HERE / "web_server.py", self.site.settings.home, self.site.town.db.url, self.site.settings.public_url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdin=self.listening.fileno(), cwd=ROOT, env=environment)
        assert httpx.get(f"{self.url}/health", timeout=60, trust_env=False).status_code < 500

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Alive, and saying nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def address(site: Any) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(site, listening)
        yield server
        server.end()


@pytest.fixture
def server(address: Server) -> Server:
    """What an earlier test of the file started, if it lives."""
    address.start()
    return address


@pytest.fixture
def journey(site: Any) -> str:
    """The key of a journey of the test's own: what an earlier test of the file drew is no part of it."""
    with site.town.db.write() as session:
        key = f"survey-{new_id()[-12:].lower()}"
        create_journey(session, {**get_journey(session, "survey").draft, "key": key}, "test", site.town.now)
        return key


@pytest.fixture
def page(site: Any, chrome: Browser, server: Server, journey: str) -> Iterator[Page]:
    context = site.context(chrome, server.url)
    page = site.log_in(context, "marketer")
    page.goto(f"/ui/journeys/{journey}/edit")
    expect(page.locator(".react-flow__node").first).to_be_visible()
    saved(page)
    yield page
    context.close()


def into(page: Page) -> None:
    """The form of a step, whatever it is called by now."""
    page.locator('.react-flow__node[data-id="voucher"]').click()
    expect(form(page, "voucher")).to_be_attached()


def line(page: Page) -> Locator:
    return page.locator(".pfb-status")


def test_an_edit_that_the_server_does_not_answer_is_not_saved(page: Page, server: Server, site: Any, journey: str) -> None:
    into(page)
    with server.stopped():
        # What is only typed is stored nowhere, whatever the server drew last.
        page.locator(".pfb-panel").get_by_label(re.compile("^Name\\b")).first.press_sequentially("x")
        expect(line(page)).to_have_text("Saving …")
        write(page, "Name", "Unanswered")
        expect(line(page)).to_have_text(SILENT_UNSAVED)
        shot = os.environ.get("SHOT_SILENT")
        page.screenshot(path=shot) if shot else None
    saved(page)
    assert stored(site.town, journey).nodes["voucher"]["name"] == "Unanswered"


def test_a_press_that_the_server_does_not_answer_is_said(page: Page, server: Server) -> None:
    into(page)
    with server.stopped():
        page.locator(".pfb-panel button").first.click()
        expect(line(page)).to_have_text(SILENT)
    saved(page)


def test_a_killed_server_takes_the_word_back_and_a_new_one_gives_it_again(page: Page, server: Server, site: Any, journey: str) -> None:
    into(page)
    server.end()
    expect(line(page)).to_have_text(AWAY)
    offer(page, "Wait").click()
    expect(line(page)).to_have_text(AWAY_UNSAVED)
    write(page, "Name", "Written meanwhile")
    server.start()
    saved(page)
    expect(step(page, "Wait")).to_be_visible()
    assert "wait" in stored(site.town, journey).nodes


OPENS = """() => {
  window.closedSend = WebSocket.prototype.send;
  WebSocket.prototype.send = () => { throw new DOMException("Still in CONNECTING state.", "InvalidStateError"); };
}"""


def test_what_is_done_while_the_socket_opens_again_is_done_whole_and_stored(page: Page, server: Server, site: Any, journey: str) -> None:
    """A socket that opens answers `send` by an error. A text of the step before waits for its form, which is asked for although another is chosen."""
    into(page)
    server.end()
    expect(line(page)).to_have_text(AWAY)
    page.evaluate(OPENS)
    write(page, "Name", "Written meanwhile")
    offer(page, "Wait").click()
    added = page.locator('.react-flow__node[data-id="wait"]')
    expect(added).to_be_focused()  # the last thing that adding a step does
    page.evaluate("() => { WebSocket.prototype.send = window.closedSend; }")
    server.start()
    expect(step(page, "Written meanwhile")).to_be_visible(timeout=30_000)
    saved(page)
    document = stored(site.town, journey)
    assert document.nodes["voucher"]["name"] == "Written meanwhile"
    assert "wait" in document.nodes
    expect(added).to_be_focused()
    expect(form(page, "wait")).to_be_attached()


def test_who_writes_while_the_connection_comes_back_writes_on(page: Page, server: Server, site: Any, journey: str) -> None:
    into(page)
    name = page.get_by_label("Name", exact=True)
    name.fill("Written")
    server.end()
    expect(line(page)).to_have_text(AWAY_UNSAVED)
    name.press_sequentially(" on")
    name.press("ArrowLeft")
    server.start()
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "true", timeout=30_000)
    expect(name).to_be_focused()
    page.keyboard.type("x")
    expect(name).to_have_value("Written oxn")
    page.keyboard.press("Enter")
    eventually(page, lambda: stored(site.town, journey).nodes["voucher"]["name"] == "Written oxn")


def test_a_text_of_a_chapter_that_the_page_begins_without_is_stored_at_once(page: Page, server: Server, site: Any, journey: str) -> None:
    page.get_by_role("button", name="Name and description").click()
    field = page.get_by_label("Description")
    field.fill("Whom")
    server.end()
    expect(line(page)).to_have_text(re.compile(f"^({re.escape(AWAY)}|{re.escape(AWAY_UNSAVED)})$"))  # the server may just have stored it
    field.press_sequentially(" it is for")
    page.keyboard.press("Tab")
    expect(line(page)).to_have_text(AWAY_UNSAVED)
    server.start()
    eventually(page, lambda: stored(site.town, journey).description == "Whom it is for")
    saved(page)


def test_a_text_whose_step_is_gone_is_waited_for_by_nobody(page: Page, server: Server, site: Any, journey: str) -> None:
    into(page)
    server.end()
    expect(line(page)).to_have_text(AWAY)
    write(page, "Name", "Written for nothing")
    page.locator('.react-flow__node[data-id="voucher"]').focus()
    page.keyboard.press("Delete")
    expect(page.locator('.react-flow__node[data-id="voucher"]')).to_have_count(0)
    server.start()
    saved(page)
    assert "voucher" not in stored(site.town, journey).nodes


def test_a_browser_that_is_offline_says_so_once_something_is_asked_of_it(page: Page, site: Any, journey: str) -> None:
    before = len(stored(site.town, journey).nodes)
    page.context.set_offline(True)
    offer(page, "Wait").click()
    expect(line(page)).not_to_have_text(re.compile("^Saved"))
    expect(line(page)).to_have_text(re.compile(f"^({re.escape(AWAY_UNSAVED)}|{re.escape(SILENT_UNSAVED)})$"))
    assert len(stored(site.town, journey).nodes) == before
    page.context.set_offline(False)
    saved(page)
    assert len(stored(site.town, journey).nodes) == before + 1


def test_a_template_that_the_server_does_not_answer_for_is_not_saved(page: Page, server: Server) -> None:
    page.goto("/ui/templates/welcome-1-hello")
    subject = page.get_by_label("Subject")
    expect(page.locator(".tpl-status")).to_have_text(re.compile("^(Saved|Kept as a draft)"))
    with server.stopped():
        subject.press_sequentially("!")
        expect(page.locator(".tpl-status")).to_have_text("Saving …")
        expect(page.locator(".tpl-status")).to_have_text(SILENT_UNSAVED)
    expect(page.locator(".tpl-status")).to_have_text("Saved as a draft, no new version yet")
    server.end()
    expect(page.locator(".tpl-status")).to_have_text(AWAY)
