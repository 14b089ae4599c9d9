"""What the page asks the server of itself: one question at a time, again every few seconds while something is unanswered, and nothing when idle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

SOURCES = Path(__file__).parents[2] / "builder_ui" / "frontend" / "src"
HOST = "http://keeping.test"
BEGIN = """async () => {
  const { keeping } = await import("/keeping.js");
  window.keeper = keeping("journey");
  window.asked = [];
  keeper.ask = ({ n }) => asked.push(n);
  keeper.hear({ all: true });
}"""


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    """A page that holds nothing but `keeping.js` and a form of one field, under a clock that stands still."""
    context = chrome.new_context()

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(HOST).strip("/")
        body = (SOURCES / name).read_text() if name else "<!doctype html><div class='pfb-side'><input id='name'></div>"
        route.fulfill(body=body, content_type="text/javascript" if name else "text/html")

    context.route(f"{HOST}/**", answer)
    page = context.new_page()
    page.clock.install()
    page.goto(HOST)
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.evaluate(BEGIN)
    yield page
    context.close()


def asked(page: Page, seconds: int) -> int:
    """How many questions the next seconds bring."""
    before = page.evaluate("asked.length")
    page.clock.run_for(seconds * 1_000)
    return int(page.evaluate("asked.length")) - int(before)


def shown(page: Page) -> str:
    return str(page.evaluate("keeper.shown()"))


def test_an_idle_page_asks_nothing(page: Page) -> None:
    assert (asked(page, 600), shown(page)) == (0, "")


def test_a_question_that_nobody_answers_is_asked_again_by_one_timer(page: Page) -> None:
    page.evaluate("keeper.draw(true)")
    page.evaluate("for (let n = 0; n < 20; n += 1) keeper.look()")
    assert asked(page, 4) == 0
    assert shown(page) == "pending"
    assert asked(page, 60) in (11, 12)
    assert shown(page) == "silent_unsaved"
    page.evaluate("() => { keeper.draw(false); keeper.hear({ pong: asked.at(-1), all: true }); }")
    assert (asked(page, 600), shown(page)) == (0, "")


def test_a_text_that_somebody_still_writes_is_not_saved_by_a_new_server(page: Page) -> None:
    """It says its text when the field is left: what the new process answers is of nothing that it heard."""
    page.locator("#name").press_sequentially("Wri")
    page.evaluate("() => { dispatchEvent(new Event('pfadwerk:away')); dispatchEvent(new Event('pfadwerk:heard')); keeper.begin(); }")
    page.clock.run_for(100)
    page.evaluate("keeper.hear({ pong: asked.at(-1) ?? 0, all: true })")
    assert shown(page) == "pending"
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(100)
    page.evaluate("keeper.hear({ pong: asked.at(-1), all: true })")
    assert shown(page) == ""
