"""What people do in the builder, in a few words each: for the tests that read like a day."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from engine.versions import publish
from journeys.reading import read


def begin(page: Page, key: str) -> None:
    """A blank journey, through the gallery."""
    page.get_by_role("link", name="New journey").click()
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Blank journey"))
    card.get_by_label("Name").fill(f"Journey {key}")
    card.get_by_text("For engineers").click()
    card.get_by_label("Key").fill(key)
    card.get_by_role("button", name="Create and draw").click()
    expect(step(page, "Exit")).to_be_visible()


def settle(page: Page) -> None:
    """What a new journey leaves to its author: how often somebody may enter, and the purpose of its messages."""
    pick(page, "Who enters")
    page.get_by_label("How often a contact may enter").select_option(label="Each contact only once")
    page.locator(".pfb-panel").get_by_role("button", name="Settings").click()
    page.get_by_label("Consent purpose").select_option("marketing")
    page.locator(".pfb-panel").get_by_role("button", name="Who enters").click()
    expect(page.get_by_label("How often a contact may enter")).to_have_value("never")


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


MOST_TABS = 25
"""More often nobody presses Tab to get to one thing; then the page needs a shorter way there."""
HAS_FOCUS = "(element) => element === document.activeElement"
IS_BEHIND = "(element) => !!(element.compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_PRECEDING)"


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Goes on with Tab (or Shift+Tab) until the target has the focus, the way a person does."""
    expect(target).to_have_count(1)
    for _ in range(MOST_TABS):
        if target.evaluate(HAS_FOCUS):
            return
        page.keyboard.press(key)
    if target.evaluate(HAS_FOCUS):
        return
    here = page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    raise AssertionError(f"{target} is not reached with {MOST_TABS} × {key}; the focus is on {here}")


def skip(page: Page) -> None:
    """From the beginning of a page over its menu."""
    tab_to(page, page.get_by_role("link", name="Skip to content"))
    page.keyboard.press("Enter")
    expect(page.locator("#app")).to_be_focused()


def fill_in(page: Page, field: Locator, text: str) -> None:
    """By keyboard, in place of what stands there."""
    tab_to(page, field)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def press(page: Page, name: str) -> None:
    """A button, by keyboard."""
    tab_to(page, page.get_by_role("button", name=name))
    page.keyboard.press("Enter")


def choose(page: Page, id: str) -> None:
    """By keyboard: Escape leads to the canvas if the focus is not on it, Tab from card to card, Enter chooses; waits until its form is there."""
    card = page.locator(f'.react-flow__node[data-id="{id}"]')
    if not page.locator(".react-flow__node:focus").count():
        page.keyboard.press("Escape")
    expect(page.locator(".react-flow__node:focus")).to_have_count(1)
    if not card.evaluate(HAS_FOCUS):
        tab_to(page, card, "Tab" if card.evaluate(IS_BEHIND) else "Shift+Tab")
    expect(card).to_be_focused()
    if not card.locator(".pfb-selected").count():
        page.keyboard.press("Enter")
    expect(form(page, id)).to_be_attached()


def find(page: Page, name: str) -> None:
    """By keyboard: a step by its name, wherever it stands; the focus is on it afterwards."""
    page.keyboard.press("Control+f")
    expect(page.get_by_role("searchbox", name="Find in the journey")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(step(page, name)).to_be_focused()


def into_form(page: Page, id: str) -> None:
    """By keyboard: chooses a step and goes on into its form."""
    choose(page, id)
    page.keyboard.press("Enter")
    expect(page.locator(f'.pfb-panel [data-step="{id}"]').locator(":focus")).to_have_count(1)


def pick(page: Page, name: str) -> None:
    """By mouse, a step by the name on its card; waits until its form is there."""
    card = step(page, name)
    id = card.get_attribute("data-id")
    card.click()
    expect(form(page, id or "")).to_be_attached()


def form(page: Page, id: str) -> Locator:
    """The fields of a step. What follows it is drawn for itself, and comes first: only when these are there is it time to write."""
    return page.locator(f'.pfb-panel .pfb-step[data-step="{id}"]')


def write(page: Page, label: str, text: str) -> None:
    """Fills a field of the form and leaves it by Enter."""
    field = page.locator(".pfb-panel").get_by_label(re.compile(f"^{re.escape(label)}\\b")).first
    field.fill(text)
    field.press("Enter")


def follow(page: Page, outlet: str, choice: str) -> None:
    """By keyboard, from within a form: chooses what follows an outlet, by typing its name, and sets it with the button behind the list."""
    field = page.get_by_label(f"After “{outlet}”", exact=True)
    tab_to(page, field)
    page.keyboard.type(choice.removesuffix(" (new)"))
    for _ in range(MOST_TABS):  # a step that is there already stands below the kinds of new ones
        if field.evaluate("(list) => list.selectedOptions[0].text") == choice:
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def go_live(page: Page, version: int) -> None:
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text(f"Version {version} is live.")).to_be_visible(timeout=30_000)
