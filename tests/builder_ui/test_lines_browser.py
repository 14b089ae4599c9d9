"""A marketer's hands on the canvas: connecting, pasting, finding, fitting, and what lights up; long, wide and narrow drawings. Real Chromium."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from engine.versions import publish
from tests.builder_ui.browsing import Enter, complaints
from tests.builder_ui.drawing import at_rest, pick, saved, step

KEY = "hands"
PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""
BOXES = """() => [...document.querySelectorAll('.react-flow__node')].map((node) => {
  const { left, top, right, bottom } = node.getBoundingClientRect();
  return [node.dataset.id, left, top, right, bottom];
})"""
ZOOM = "new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform).a"


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def put(town: Any, nodes: dict[str, Any], edges: list[tuple[str, str, str]], start: str, **more: Any) -> None:
    document = {
        "spec": 1,
        "key": KEY,
        "name": "Hands",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": start,
        "nodes": nodes,
        "edges": [{"from": source, "outlet": outlet, "to": to} for source, outlet, to in edges],
        **more,
    }
    with town.db.write() as session:
        publish.create_journey(session, document, "test", town.now)


def open_builder(page: Page, key: str = KEY) -> None:
    page.goto(f"/ui/journeys/{key}/edit")
    expect(step(page, "Who enters")).to_be_visible()
    at_rest(page)


def draft(town: Any) -> dict[str, Any]:
    with town.db.read() as session:
        return dict(publish.get_journey(session, KEY).draft)


def middle(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, start: Locator, end: Locator) -> None:
    page.mouse.move(*middle(start))
    page.mouse.down()
    page.mouse.move(*middle(end), steps=8)
    page.mouse.up()


QUESTION = {"kind": "if_else", "name": "Asked?", "rule": {"field": "first_name", "operator": "=", "value": "Ada"}}


def pause(name: str) -> dict[str, Any]:
    return {"kind": "wait", "name": name, "duration": "P1D"}


def test_connecting_by_mouse_lays_out(page: Page, town: Any) -> None:
    nodes = {"ask": QUESTION, "left": pause("Left"), "right": pause("Right"), "end": {"kind": "exit"}}
    put(town, nodes, [("ask", "yes", "right"), ("ask", "no", "left"), ("left", "next", "end"), ("right", "next", "end")], "ask")
    open_builder(page)
    assert middle(step(page, "Right"))[0] < middle(step(page, "Left"))[0]
    drag(page, page.locator('[data-nodeid="ask"][data-handleid="yes"]'), page.locator('[data-nodeid="left"].target'))
    at_rest(page)
    drag(page, page.locator('[data-nodeid="ask"][data-handleid="no"]'), page.locator('[data-nodeid="right"].target'))
    at_rest(page)
    assert middle(step(page, "Left"))[0] < middle(step(page, "Right"))[0]
    saved(page)
    assert {(edge["outlet"], edge["to"]) for edge in draft(town)["edges"] if edge["from"] == "ask"} == {("yes", "left"), ("no", "right")}


def clipboard(count: int, name: str) -> str:
    """So many waits, one after the other, as the canvas copies them."""
    outlets = [["next", "continue", False]]
    view = {"label": "Wait", "name": name, "summary": "1 day", "icon": "clock", "group": "time", "outlets": outlets}
    steps = [{"id": f"w{n}", "raw": pause(name), "view": view, "x": 0, "y": 144 * n} for n in range(count)]
    ways = [[f"w{n}", "next", f"w{n + 1}"] for n in range(count - 1)]
    return json.dumps({"pfadwerk": "steps", "steps": steps, "notes": [], "ways": ways})


def test_what_is_pasted_hangs_on_the_chosen_step_else_it_lands_in_view(page: Page, town: Any) -> None:
    put(town, {"first": pause("First"), "end": {"kind": "exit"}}, [("first", "next", "end")], "first")
    open_builder(page)
    page.locator(".react-flow__pane").click(position={"x": 40, "y": 400})
    page.evaluate(PASTE, clipboard(2, "Loose"))
    expect(step(page, "Loose")).to_have_count(1)
    expect(step(page, "Loose 2")).to_have_count(1)
    at_rest(page)
    expect(step(page, "Loose").first).to_be_in_viewport(ratio=0.9)
    page.keyboard.press("Control+z")
    page.evaluate("document.activeElement.blur()")
    pick(page, "First")
    page.locator('[data-id="first:next"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Delete")
    pick(page, "First")
    page.evaluate(PASTE, clipboard(2, "Hung"))
    expect(step(page, "Hung")).to_have_count(1)
    expect(step(page, "Hung 2")).to_have_count(1)
    at_rest(page)
    expect(step(page, "Hung").first).to_be_in_viewport(ratio=0.9)
    assert middle(step(page, "Hung").first)[1] > middle(step(page, "First"))[1]
    saved(page)
    drawn = [(edge["from"], edge["to"]) for edge in draft(town)["edges"]]
    assert ("first", "wait") in drawn or ("first", "wait_2") in drawn


def overlapping(boxes: list[Any]) -> list[tuple[str, str]]:
    found = []
    for at, (id, left, top, right, bottom) in enumerate(boxes):
        for other, left_2, top_2, right_2, bottom_2 in boxes[at + 1 :]:
            if left < right_2 - 1 and left_2 < right - 1 and top < bottom_2 - 1 and top_2 < bottom - 1:
                found.append((id, other))
    return found


def test_three_hundred_steps_are_pasted_and_can_be_reached(page: Page, town: Any) -> None:
    heard = complaints(page)
    put(town, {"first": pause("First")}, [], "first")
    open_builder(page)
    pick(page, "First")
    page.evaluate(PASTE, clipboard(300, "مرحبا 👋🏽 " + "W" * 108))
    saved(page)
    assert len(draft(town)["nodes"]) == 301
    at_rest(page)
    boxes = page.evaluate(BOXES)
    assert len(boxes) > 1
    assert overlapping(boxes) == []
    wider = page.evaluate(
        "[...document.querySelectorAll('.pfb-card-name')].filter((name) => name.getBoundingClientRect().width > 260).length"
    )
    assert wider == 0
    assert heard == []


def test_find_moves_while_one_types(page: Page, town: Any) -> None:
    open_builder(page, "mql_to_sql")
    page.keyboard.press("Control+f")
    page.keyboard.type("Start over")
    expect(step(page, "Start over").locator(".pfb-selected")).to_be_visible()
    expect(step(page, "Start over")).to_be_in_viewport(ratio=0.9)
    expect(page.get_by_role("searchbox", name="Find in the journey")).to_be_focused()


def test_fit_stays_readable_and_shows_everything_the_second_time(page: Page, town: Any) -> None:
    ids = [f"n{n}" for n in range(30)]
    put(town, {id: pause(id) for id in ids}, [(one, "next", two) for one, two in pairwise(ids)], "n0")
    open_builder(page)
    fit = page.get_by_role("button", name="Fit everything in")
    page.keyboard.press("Control+f")
    page.keyboard.type("n29")
    page.keyboard.press("Escape")
    page.locator(".react-flow__pane").click(position={"x": 40, "y": 400})
    at_rest(page)
    fit.click()
    at_rest(page)
    assert page.evaluate(ZOOM) >= 0.7
    expect(step(page, "Who enters")).to_be_in_viewport(ratio=1)
    fit.click()
    at_rest(page)
    assert page.evaluate(ZOOM) < 0.4
    fit.click()
    at_rest(page)
    assert page.evaluate(ZOOM) >= 0.7
    expect(step(page, "Who enters")).to_be_in_viewport(ratio=1)


def test_a_card_and_a_way_out_light_up_what_hangs_on_them(page: Page, town: Any) -> None:
    open_builder(page, "welcome")
    lit = page.locator(".react-flow__edge:has(.pfb-lit)")
    step(page, "Read the first one?").hover()
    expect(lit).to_have_count(3)
    step(page, "Read the first one?").get_by_text("yes", exact=True).hover()
    expect(lit).to_have_count(1)
    expect(lit).to_have_attribute("aria-label", "From “Read the first one?”, yes, to “Welcome 2: tips”")
    page.mouse.move(5, 5)
    expect(lit).to_have_count(0)

    # The same by keyboard; the name of the way out leads on.
    pick(page, "Read the first one?")
    outlet = step(page, "Read the first one?").get_by_role("button", name="“no” leads to “Welcome 2: short version”")
    outlet.focus()
    expect(lit).to_have_attribute("aria-label", "From “Read the first one?”, no, to “Welcome 2: short version”")
    page.keyboard.press("Enter")
    expect(step(page, "Welcome 2: short version")).to_be_focused()


def test_lines_that_cross_have_tones_and_names_which_the_picture_shows_too(page: Page, town: Any) -> None:
    open_builder(page, "mql_to_sql")
    crossing = page.locator(".react-flow__edge-path:is(.pfb-c1, .pfb-c2, .pfb-c3)")
    expect(crossing).to_have_count(1)
    expect(page.locator(".pfb-way-name")).to_have_count(2)
    assert {*page.locator(".pfb-way-name").all_inner_texts()} == {"qualified", "not yet"}
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as held:
        page.get_by_role("button", name="Picture (SVG)").click()
    drawn = held.value.path().read_text()
    screen = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll('.react-flow__edge')].map((edge) =>
      [edge.dataset.id, edge.querySelector('.react-flow__edge-path').getAttribute('d').match(/-?[\\d.]+/g).map(Number)]))""")
    for id, course in screen.items():
        [path] = re.findall(f'data-way="{re.escape(id)}" d="([^"]+)"', drawn)
        across = [float(x) for x in re.findall(r"-?[\d.]+", path)][::2]
        assert len(across) == len(course[::2])
        assert max(abs(one - two) for one, two in zip(across, course[::2], strict=True)) < 2, id


@pytest.mark.parametrize("size", [ViewportSize(width=320, height=640), ViewportSize(width=683, height=384)], ids=["phone", "zoom-200"])
def test_in_a_small_window_nothing_lies_on_the_drawing_and_nothing_is_cut_off(page: Page, town: Any, size: ViewportSize) -> None:
    page.set_viewport_size(size)
    open_builder(page, "mql_to_sql")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    expect(page.locator(".react-flow__minimap")).to_be_hidden()
    start, toolbar = step(page, "Who enters").bounding_box(), page.locator(".pfb-toolbar").bounding_box()
    assert start is not None
    assert toolbar is not None
    assert start["y"] >= toolbar["y"] + toolbar["height"]
    for button in page.locator(".pfb-toolbar button, .react-flow__controls button").all():
        expect(button).to_be_visible()
        assert button.evaluate(
            "(one) => { const { x, y, width, height } = one.getBoundingClientRect(); return x >= 0 && x + width <= innerWidth && width > 0; }"
        )


def test_lines_and_what_is_chosen_are_seen_in_contrast_colours(page: Page, town: Any) -> None:
    page.emulate_media(forced_colors="active")
    open_builder(page, "mql_to_sql")
    colours = "(one) => [getComputedStyle(one).stroke, getComputedStyle(document.body).color]"
    line, text = page.locator(".react-flow__edge-path").first.evaluate(colours)
    assert line == text
    pick(page, "Called?")
    at_rest(page)
    assert step(page, "Called?").locator(".pfb-card").evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    crossing = page.locator(".react-flow__edge-path.pfb-c1").first
    assert crossing.evaluate("(one) => getComputedStyle(one).strokeDasharray") != "none"
