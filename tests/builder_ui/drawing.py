"""What people do in the builder, in a few words each: for the tests that read like a day."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from engine import publish
from journeys.reading import read


def begin(page: Page, key: str) -> None:
    """A blank journey, through the gallery."""
    page.get_by_role("link", name="New journey").click()
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="From nothing"))
    card.get_by_label("Name").fill(f"Journey {key}")
    card.get_by_label("Key").fill(key)
    card.get_by_role("button", name="Create and draw").click()
    expect(step(page, "Exit")).to_be_visible()


def step(page: Page, name: str) -> Locator:
    """A card by its name, as it is written on it."""
    return page.locator(".react-flow__node").filter(has=page.locator(".pfb-card-name", has_text=re.compile(f"^{re.escape(name)}$")))


AT_REST = """async () => {
  const now = () => [...document.querySelectorAll('.react-flow__node, .react-flow__viewport')].map((one) => {
    const { x, y, width } = one.getBoundingClientRect();
    return [one.dataset.id, Math.round(x), Math.round(y), Math.round(width)].join();
  }).join(';');
  let [last, since] = [now(), performance.now()];
  while (performance.now() - since < 250) {
    await new Promise((go) => requestAnimationFrame(go));
    if (now() !== last) [last, since] = [now(), performance.now()];
  }
}"""


def at_rest(page: Page) -> None:
    """Waits until nothing moves on the canvas any more: only then is a place on it worth reading."""
    page.evaluate(AT_REST)


def saved(page: Page) -> None:
    """Waits until everything drawn is stored."""
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "true", timeout=30_000)
    expect(page.locator(".pfb-status")).to_have_text(re.compile("^Saved"), timeout=30_000)


def stored(town: Any, key: str) -> Any:
    with town.db.read() as session:
        return read(publish.get_journey(session, key).draft)


def edges(document: Any) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.outlet, edge.to) for edge in document.edges}


def offer(page: Page, kind: str) -> Locator:
    """An entry of the palette."""
    return page.get_by_role("navigation", name="Steps to add").get_by_role("button", name=kind, exact=True)


def drag_onto(page: Page, kind: str, way: str) -> None:
    """From the palette onto an edge, told as `step:outlet`."""
    what, onto = offer(page, kind), page.locator(f'[data-way="{way}"]')
    what.scroll_into_view_if_needed()
    at_rest(page)
    start, end = what.bounding_box(), onto.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 20, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 60, start["y"] + 30, steps=4)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=8)
    page.mouse.up()


def drag_to(page: Page, kind: str, x: int, y: int) -> None:
    """From the palette onto the free canvas, told from its upper left corner."""
    at_rest(page)
    what, pane = offer(page, kind), page.locator(".react-flow__pane").bounding_box()
    what.scroll_into_view_if_needed()
    start = what.bounding_box()
    assert pane is not None
    assert start is not None
    page.mouse.move(start["x"] + 20, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(pane["x"] + x - 50, pane["y"] + y - 30, steps=6)
    page.mouse.move(pane["x"] + x, pane["y"] + y, steps=4)
    page.mouse.up()


def connect(page: Page, source: str, outlet: str, target: str) -> None:
    """From handle to handle, by mouse."""
    at_rest(page)
    start = step(page, source).locator(f'.react-flow__handle[data-handleid="{outlet}"]').bounding_box()
    end = step(page, target).locator(".react-flow__handle.target").bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] - 20, end["y"] - 20, steps=6)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=6)
    page.mouse.up()


def choose(page: Page, id: str) -> None:
    """By keyboard, wherever the step stands; waits until its form is there."""
    page.locator(f'.react-flow__node[data-id="{id}"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"[id^='pfb-{id.strip('$')}-']").first).to_be_attached()


def pick(page: Page, name: str) -> None:
    """By mouse, a step that still has the name of its kind; waits until its form is there."""
    step(page, name).click()
    expect(page.locator(".pfb-panel h2")).to_contain_text(name)


def write(page: Page, label: str, text: str) -> None:
    """Fills a field of the form and leaves it by Enter."""
    field = page.locator(".pfb-panel").get_by_label(re.compile(f"^{re.escape(label)}\\b")).first
    field.fill(text)
    field.press("Enter")


def follow(page: Page, outlet: str, choice: str) -> None:
    """By keyboard: chooses what follows an outlet, by typing its name, and sets it with the button behind the list."""
    page.get_by_label(f"After “{outlet}”", exact=True).focus()
    page.keyboard.type(choice)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def go_live(page: Page, version: int) -> None:
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text(f"Version {version} is live.")).to_be_visible(timeout=30_000)
