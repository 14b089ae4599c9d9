"""Who writes in a field that is drawn anew writes on: `fields.js` alone, in a page whose form comes and goes the way the client draws it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

FIELDS = Path(__file__).parents[2] / "builder_ui" / "static" / "fields.js"
FORM = "<div id='app'><div class='pfb-panel' data-step='voucher'><input id='name' value='Voucher'></div></div><p>Elsewhere</p>"
TAKE = "window.form = document.querySelector('.pfb-panel'); form.firstChild.remove()"
DRAW = "form.innerHTML = `<input id='name' value='Voucher'>`"


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context()
    page = context.new_page()
    page.set_content(FORM)
    page.add_script_tag(content=FIELDS.read_text())
    page.evaluate("window.keys = []; document.addEventListener('keydown', ({ key }) => keys.push(key))")
    page.locator("#name").press("End")
    page.locator("#name").press_sequentially(" one")
    yield page
    context.close()


def test_a_field_that_is_drawn_anew_keeps_what_somebody_types(page: Page) -> None:
    page.keyboard.press("ArrowLeft")
    page.evaluate(f"{TAKE}; {DRAW}")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("x")
    expect(page.locator("#name")).to_have_value("Voucher onxe")


def test_keys_between_two_drawings_are_the_fields(page: Page) -> None:
    page.evaluate(TAKE)
    page.evaluate("keys.length = 0")
    page.keyboard.type("s!")
    page.keyboard.press("Backspace")
    page.keyboard.press("Delete")
    assert page.evaluate("keys") == []  # the canvas would delete a step
    page.evaluate(DRAW)
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name")).to_have_value("Voucher ones")


def test_who_went_elsewhere_meanwhile_stays_there(page: Page) -> None:
    page.evaluate(TAKE)
    page.get_by_text("Elsewhere").click()
    page.evaluate(DRAW)
    page.evaluate("() => new Promise((go) => setTimeout(go))")
    assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("Delete")
    assert page.evaluate("keys.at(-1)") == "Delete"
