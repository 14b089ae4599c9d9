"""A marketer writes a template: from nothing to a saved mail, with a mistake on the way. Real Chromium, real server, strict content policy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page, WebSocketRoute, expect

from activities.templates import library
from models import Template
from tests.builder_ui.browsing import Enter, Serve, complaints


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def begin(page: Page, card: str, key: str) -> None:
    """A new template, through the page that offers layouts."""
    page.goto("/ui/new-template")
    offered = page.get_by_role("article").filter(has=page.get_by_role("heading", name=card, exact=True))
    offered.get_by_label("Name").fill(f"Template {key}")
    offered.get_by_text("For engineers").click()
    offered.get_by_label("Key").fill(key)
    offered.get_by_role("button", name="Create and edit").click()
    expect(page.get_by_role("heading", name=f"Template {key}", level=1)).to_be_visible()


def source(page: Page) -> Locator:
    """The source, which is one press away from the blocks."""
    expect(page.locator(".tpl-fields")).to_be_visible()
    switch = page.get_by_role("button", name="MJML source", exact=True)
    if switch.count() and switch.get_attribute("aria-pressed") != "true":
        switch.click()
        expect(page.locator(".tpl-blocks")).to_have_count(0)
    if switch.count():  # a mail: its plain text has a field of the same sort, which stands there before the source does
        return page.locator('.cm-content[aria-label="Source (MJML)"]')
    return page.locator(".cm-content").first


def mail(page: Page) -> FrameLocator:
    return page.frame_locator(".tpl-frame iframe:not(.next)")


def write(page: Page, text: str) -> None:
    """Puts a text into the source the way a person pastes it."""
    source(page).click()
    page.keyboard.press("Control+a")
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+v")


def kept(page: Page) -> None:
    """Waits until everything typed is stored as a draft."""
    expect(page.locator(".tpl-source > span").first).to_have_attribute("data-kept", "true")
    expect(page.locator(".tpl-status")).to_have_text(re.compile("^(Saved|Kept as a draft)"))


def stored(town: Any, key: str) -> Template:
    with town.db.read() as session:
        return library.get(session, key)


BODY = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Dear {{ contact.first_name }},</mj-text>
        <mj-text>we wrote this mail by hand. <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""


def test_from_nothing_to_a_saved_mail(page: Page, town: Any) -> None:
    heard = complaints(page)
    begin(page, "Blank e-mail", "by-hand")
    page.get_by_label("Subject").fill("A note for {{ contact.first_name }}")
    write(page, BODY)
    expect(mail(page).get_by_text("Dear Anna,")).to_be_visible()

    page.get_by_text("Preview for: Sample values").click()
    page.get_by_label("Search by name or e-mail").press_sequentially("carl")
    page.get_by_role("button", name=re.compile("Carla Rossi")).click()
    expect(mail(page).get_by_text("Dear Carla,")).to_be_visible()
    expect(page.locator(".tpl-inbox")).to_contain_text("A note for Carla")

    page.get_by_role("button", name="Phone").click()
    expect(page.locator(".tpl-frame iframe:not(.next)")).to_have_js_property("clientWidth", 375)
    page.locator("#app").get_by_role("button", name="Dark").click()
    expect(page.locator(".tpl-note")).to_contain_text("no dark colours")
    expect(mail(page).locator("html")).to_have_css("filter", re.compile("invert"))
    page.get_by_role("button", name="Plain text").click()
    expect(page.locator(".mail-text")).to_contain_text("Dear Carla,")
    page.get_by_role("button", name="Desktop").click()

    write(page, BODY.replace("</mj-text>\n      </mj-column>", "</mj-txt>\n      </mj-column>"))
    problem = page.locator(".tpl-finding.error").first
    expect(problem).to_contain_text("line 6")
    expect(page.get_by_text("Not the latest")).to_be_visible()
    expect(mail(page).get_by_text("Dear Carla,")).to_be_visible()
    problem.click()
    expect(page.locator(".cm-activeLine").first).to_contain_text("we wrote this mail by hand")
    expect(page.locator(".cm-wrong")).to_contain_text("we wrote this mail by hand")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".tpl-notice.bad")).to_contain_text("Not saved as a version")

    write(page, BODY)
    expect(page.get_by_text("Not the latest")).to_have_count(0)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".tpl-notice.good")).to_have_text("Saved as version 2.")
    page.reload()
    expect(source(page)).to_contain_text("we wrote this mail by hand")
    expect(page.get_by_label("Subject")).to_have_value("A note for {{ contact.first_name }}")
    expect(page.locator(".tpl-status")).to_have_text("Saved")
    assert stored(town, "by-hand").variants["default"]["mjml"] == BODY
    page.goto("/ui/templates?q=by-hand")
    expect(page.frame_locator(".tpl-picture").get_by_text("Dear Anna,")).to_be_attached()
    assert heard == []


def slow(context: BrowserContext, milliseconds: int) -> None:
    """Lets every message between page and server take that long."""

    def carry(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        wait = milliseconds / 1000

        def later(send: Callable[[str | bytes], None], message: str | bytes) -> None:
            time.sleep(wait)
            send(message)

        route.on_message(lambda message: later(server.send, message))
        server.on_message(lambda message: later(route.send, message))

    context.route_web_socket(re.compile("/_reactpy/stream/"), carry)


def test_no_keystroke_is_lost_on_a_slow_line(page: Page, context: BrowserContext, town: Any) -> None:
    begin(page, "Blank e-mail", "slow")
    slow(context, 150)
    page.reload()
    expect(source(page)).to_be_visible()
    subject, sentence = "The quick brown fox jumps over the lazy dog", "Pack my box with five dozen liquor jugs."
    page.get_by_label("Subject").fill("")
    page.get_by_label("Subject").press_sequentially(subject, delay=20)
    write(page, "")
    source(page).press_sequentially(sentence, delay=20)
    kept(page)
    assert source(page).inner_text().strip() == sentence
    assert stored(town, "slow").variants["default"]["subject"] == subject
    assert stored(town, "slow").variants["default"]["mjml"] == sentence


def test_what_was_written_while_the_server_was_gone_is_kept(serve: Serve, enter: Enter, town: Any) -> None:
    with serve():
        page = enter("marketer")
        begin(page, "SMS", "offline")
        expect(source(page)).to_be_visible()
        write(page, "Hello")
        kept(page)
    source(page).click()
    page.keyboard.press("End")
    page.keyboard.type(" world €")
    expect(page.locator(".tpl-source > span").first).to_have_attribute("data-kept", "false")
    with serve():
        expect(page.locator(".tpl-source > span").first).to_have_attribute("data-kept", "true", timeout=20_000)
        expect(page.locator(".tpl-segments")).to_contain_text("GSM-7")
        assert stored(town, "offline").variants["default"]["text"] == "Hello world €"


def test_languages_undo_and_the_insert_menu(page: Page, town: Any) -> None:
    begin(page, "Newsletter", "both")
    page.get_by_role("button", name="German").click()
    expect(source(page)).to_contain_text('<mjml lang="de">')
    source(page).click()
    page.keyboard.press("Control+End")
    page.keyboard.type("<!-- x -->")
    kept(page)
    page.get_by_role("button", name="English").click()
    expect(source(page)).to_contain_text('<mjml lang="en">')
    page.get_by_role("button", name="German").click()
    expect(source(page)).to_contain_text("<!-- x -->")  # it stands where it was left, at its end
    source(page).click()
    page.keyboard.press("Control+z")
    kept(page)
    assert "<!-- x -->" not in stored(town, "both").variants["de"]["mjml"]

    page.get_by_label("Subject").fill("Hallo ")
    page.get_by_label("Insert").select_option(label="first name (first_name)")
    page.get_by_label("Subject").click()
    page.get_by_role("button", name="Insert").click()
    expect(page.get_by_label("Subject")).to_have_value('Hallo {{ contact.first_name|default("") }}')
    kept(page)

    source(page).click()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(source(page)).not_to_be_focused()


def test_a_footer_is_written_once_and_corrected_everywhere(page: Page, town: Any) -> None:
    begin(page, "Partial", "our-footer")
    write(page, "<mj-section><mj-column><mj-text>Old street</mj-text></mj-column></mj-section>")
    expect(mail(page).get_by_text("Old street")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    begin(page, "Blank e-mail", "spring")
    write(page, "<mjml><mj-body></mj-body></mjml>")
    kept(page)
    source(page).click()
    page.keyboard.press("Control+Home")
    for _ in range(len("<mjml><mj-body>")):
        page.keyboard.press("ArrowRight")
    page.get_by_label("Insert").select_option(label="Template our-footer (our-footer)")
    page.get_by_role("button", name="Insert").click()
    expect(mail(page).get_by_text("Old street")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    page.goto("/ui/templates/our-footer")
    write(page, "<mj-section><mj-column><mj-text>New street</mj-text></mj-column></mj-section>")
    expect(mail(page).get_by_text("New street")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3. Templates that use it now: 1.")).to_be_visible()
    with town.db.read() as session:
        assert library.load(session, "spring").variants["default"].text.strip() == "New street"
