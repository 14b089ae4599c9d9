"""Whatever a button opens stays inside the window, on every page and at every width people have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.builder_ui.drawing import at_rest
from tests.builder_ui.test_accessibility import EXAMPLES, address

SIZES = ((390, 844), (1024, 768), (1280, 800), (1440, 900), (1920, 1080))
PATHS = (
    "/ui/journeys", "/ui/journeys/{key}", "/ui/journeys/{key}/edit", "/ui/tasks",
    "/ui/templates", "/ui/templates/{key}", "/ui/runs/{id}", "/ui/settings/rotations",
)  # fmt: skip
OUTSIDE = """async () => {
  const frame = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  const outside = [];
  for (const ask of document.querySelectorAll('details.ask')) {
    if (!ask.checkVisibility()) continue;
    ask.scrollIntoView({ block: 'nearest' });
    ask.open = true;
    await frame();
    const box = ask.querySelector('.question')?.getBoundingClientRect();
    if (box && (box.left < 0 || box.top < 0 || box.right > document.documentElement.clientWidth + .5 || box.bottom > innerHeight + .5))
      outside.push([ask.querySelector('summary').textContent, ...[box.left, box.top, box.right, box.bottom].map(Math.round)]);
    ask.open = false;
  }
  return outside;
}"""


@pytest.fixture(scope="module")
def page(site: Any, chrome: Browser) -> Iterator[Page]:
    context = site.context(chrome, reduced_motion="reduce")
    with site.served():
        page = context.new_page()
        page.goto(site.link("admin"))
        page.get_by_role("button").click()
        expect(page.locator("#app h1").first).to_be_visible()
        yield page
        context.close()


@pytest.mark.parametrize("path", PATHS)
def test_what_a_button_opens_stays_inside_the_window(path: str, page: Page, site: Any) -> None:
    assert path in EXAMPLES or "{" not in path
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    page.goto(address(path, site.town))
    expect(page.locator("#app h1").first).to_be_visible()
    expect(page.locator("details.ask").first).to_be_attached()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(OUTSIDE) == [], f"at {width} pixels"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_menus_of_the_canvas_stay_inside_the_window(width: int, height: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/ui/journeys/survey/edit")
    expect(page.locator(".react-flow__node").first).to_be_visible()
    at_rest(page)
    page.locator("[data-way]").first.dispatch_event("click")
    menu = page.get_by_role("dialog", name="Add a step")
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= height
