"""A marketer reads the canvas: live numbers and the people behind them, one contact's path, differences, notes, pictures. Real Chromium."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree
from base64 import b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from engine.versions import publish
from models import Member
from tests.builder_ui.browsing import Enter, Serve, complaints, eventually
from tests.builder_ui.drawing import at_rest, pick, saved, step, write

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def figure(card: Locator, name: str) -> Locator:
    return card.locator(".pfb-counts").get_by_role("link", name=re.compile(name))


def notes(page: Page) -> Locator:
    return page.locator(".react-flow__node-note")


def draft_of(town: Any, key: str) -> dict[str, Any]:
    with town.db.read() as session:
        return dict(publish.get_journey(session, key).draft)


def test_numbers_lead_to_the_people_behind_them(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Metrics").click()
    start, first = step(page, "Who enters"), step(page, "Welcome 1")
    expect(figure(start, "5 entered so far")).to_be_visible()
    expect(figure(start, "5 in the journey now")).to_be_visible()
    expect(figure(first, "5 sent")).to_be_visible()
    expect(figure(first, "opened: 2")).to_have_text("40%")

    # The chosen step says the same in words.
    first.click()
    numbers = page.get_by_role("region", name="Metrics")
    expect(numbers).to_contain_text("opened")
    expect(numbers.get_by_role("link", name="2 opened")).to_be_visible()

    # By keyboard from the number to the list.
    figure(first, "opened: 2").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Opened the message of “Welcome 1”")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("link", name="Anna Meier")).to_be_visible()
    expect(page.get_by_role("link", name="Ben Huber")).to_be_visible()
    assert heard == []


LONG_KEY = "long_road"
SEEN = """() => {
  const drawn = new Set([...document.querySelectorAll('.react-flow__node')].map((node) => node.dataset.id));
  return [...document.querySelectorAll('.react-flow__edge')].map((edge) => {
    const [from] = edge.dataset.id.split(':');
    const course = edge.querySelector('.react-flow__edge-path').getAttribute('d').match(/[\\d.]+/g).map(Number);
    return [edge.dataset.id, course, drawn.has(from), drawn.has(`n${Number(from.slice(1)) + 1}`)];
  });
}"""


def long_road(steps: int) -> dict[str, Any]:
    """One question after the other; whoever says no goes out."""
    rule = {"field": "first_name", "operator": "=", "value": "Ada"}
    ids = [f"n{n}" for n in range(steps)]
    return {
        "spec": 1, "key": LONG_KEY, "name": "Long road", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "n0",
        "nodes": {**{id: {"kind": "if_else", "name": f"Question {id}", "rule": rule} for id in ids[:-1]}, ids[-1]: {"kind": "exit"}},
        "edges": [edge for a, b in pairwise(ids) for edge in ({"from": a, "outlet": "yes", "to": b}, {"from": a, "outlet": "no", "to": ids[-1]})],
    }  # fmt: skip


def test_a_way_runs_the_same_whether_the_cards_at_its_ends_are_drawn_or_only_reckoned(page: Page, town: Any) -> None:
    with town.db.write() as session:
        publish.create_journey(session, long_road(90), "test", town.now)
    page.goto(f"/ui/journeys/{LONG_KEY}/edit")
    expect(step(page, "Who enters")).to_be_visible()
    courses: dict[str, list[list[float]]] = {}
    ends: dict[str, set[tuple[bool, bool]]] = {}
    for n in range(20, 32):
        page.keyboard.press("ControlOrMeta+f")
        page.get_by_role("searchbox", name="Find in the journey").fill(f"Question n{n}")
        page.keyboard.press("Enter")
        expect(step(page, f"Question n{n}")).to_be_in_viewport()
        at_rest(page)
        for way, course, begins, ends_here in page.evaluate(SEEN):
            if way.endswith(":yes"):
                courses.setdefault(way, []).append(course)
                ends.setdefault(way, set()).add((begins, ends_here))
    moved = {way: max(max(places) - min(places) for places in zip(*seen, strict=True)) for way, seen in courses.items()}
    assert {way: by for way, by in moved.items() if by > 0.5} == {}, "what the browser measures is no whole pixel"
    assert any({(True, True), (True, False), (False, True)} <= seen for seen in ends.values())


def test_numbers_follow_the_journey_and_can_be_narrowed_to_a_version(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Metrics").click()
    start = step(page, "Who enters")
    expect(figure(start, "5 entered so far")).to_be_visible()
    town.now = town.engine.clock.now()
    town.person("Zoe", "Zimmer")
    [run] = town.happens("Zoe", "Signed Up")
    town.walk(run, town.now)
    expect(figure(start, "6 entered so far")).to_be_visible()
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        document = {**journey.draft, "description": "Second edition."}
        publish.save_draft(session, journey.id, document, journey.revision, "test", town.now)
        publish.publish(town.engine, session, "welcome", "test", "", town.now)
    page.reload()
    page.get_by_role("button", name="Metrics").click()
    page.get_by_label("Metrics for version").select_option("2")
    expect(figure(start, "0 entered so far")).to_be_visible()
    page.get_by_label("Metrics for version").select_option("1")
    expect(figure(start, "6 entered so far")).to_be_visible()


def test_one_contact_is_followed_on_the_canvas(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/journeys/welcome/edit")
    pick(page, "Welcome 1")
    write(page, "Name", "Hello")
    expect(step(page, "Hello")).to_be_visible()
    saved(page)
    page.get_by_role("button", name="Follow a contact").click()
    page.get_by_label("Name or e-mail").fill("Anna")
    page.get_by_label("Name or e-mail").press("Enter")
    expect(page.locator(".pfb-candidates summary")).to_have_text("Runs of “Anna”")
    page.locator(".pfb-candidates").get_by_role("button", name=re.compile("Anna Meier")).click()

    look = page.locator(".pfb-sheet")
    card = look.locator(".react-flow__node").filter(has=page.locator(".pfb-card-name", has_text=re.compile("^Welcome 1$")))
    expect(card.locator(".pfb-sign")).to_contain_text("1")
    expect(card.locator(".pfb-sign")).to_contain_text("Visited: 1")
    expect(look.locator(".pfb-dim")).not_to_have_count(0)
    expect(look.locator(".react-flow__edge-path.pfb-t-visited")).not_to_have_count(0)
    story = page.get_by_role("region", name="What happened")
    expect(story).to_contain_text("Opened")

    # The way back leaves the drawing as it was, with its undo.
    page.get_by_role("button", name="Back to canvas").click()
    expect(page.locator(".pfb-sheet")).to_have_count(0)
    expect(step(page, "Hello")).to_be_visible()
    page.locator(".react-flow__pane").click(position={"x": 30, "y": 300})
    page.keyboard.press("Control+z")
    expect(step(page, "Welcome 1")).to_be_visible()
    assert heard == []


def test_a_run_has_a_link_to_its_path(page: Page, town: Any) -> None:
    page.goto(f"/ui/runs/{town.run_of('Carla')}")
    page.get_by_role("link", name="Show on the canvas").click()
    look = page.locator(".pfb-sheet")
    expect(look.locator(".pfb-t-waiting")).to_have_count(1)
    expect(look.locator(".pfb-t-waiting")).to_contain_text("Here now")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("Carla Rossi")
    page.get_by_role("button", name="Back to canvas").click()
    expect(look).to_have_count(0)
    expect(page).to_have_url(re.compile("/ui/journeys/welcome/edit$"))
    expect(step(page, "Welcome 1")).to_be_visible()


def test_two_versions_are_compared_on_one_canvas(page: Page, town: Any) -> None:
    heard = complaints(page)
    document = draft_of(town, "welcome")
    gone = next(id for id, raw in document["nodes"].items() if raw.get("name", "").startswith("Welcome 2: short"))
    nodes = {id: raw for id, raw in document["nodes"].items() if id != gone}
    after = next(edge["to"] for edge in document["edges"] if edge["from"] == gone and edge["outlet"] == "sent")
    edges = [{**edge, "to": after if edge["to"] == gone else edge["to"]} for edge in document["edges"] if edge["from"] != gone]
    first = document["start"]
    nodes = {**nodes, first: {**nodes[first], "name": "Greeting"}, "pause": {"kind": "wait", "name": "A breath", "duration": "PT1H"}}
    changed = {**document, "nodes": nodes, "start": "pause", "edges": [*edges, {"from": "pause", "outlet": "next", "to": first}]}
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        publish.save_draft(session, journey.id, changed, journey.revision, "test", town.engine.clock.now())

    page.goto("/ui/journeys/welcome/diff?from=1&to=draft")
    expect(step(page, "A breath").locator(".pfb-t-added")).to_contain_text("new")
    expect(step(page, "Welcome 2: short version").locator(".pfb-t-removed")).to_contain_text("gone")
    expect(step(page, "Greeting").locator(".pfb-t-changed")).to_contain_text("changed")
    expect(page.locator(".react-flow__edge-path.pfb-t-removed")).not_to_have_count(0)
    expect(page.locator(".react-flow__edge-path.pfb-t-added")).not_to_have_count(0)
    entry = page.get_by_role("complementary", name="Differences").get_by_role("button", name=re.compile("The step A breath was added"))
    entry.focus()
    page.keyboard.press("Enter")
    expect(entry).to_have_attribute("aria-pressed", "true")
    expect(step(page, "A breath").locator(".pfb-selected")).to_be_visible()

    page.get_by_label("From version").select_option("draft")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("None: both do the same.")).to_be_visible()
    page.goto("/ui/journeys/welcome/drawing?version=1")
    expect(step(page, "Welcome 1")).to_be_visible()
    expect(step(page, "A breath")).to_have_count(0)
    assert heard == []


def test_notes_are_stuck_on_written_undone_and_found(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    page.locator(".react-flow__pane").click(position={"x": 30, "y": 300})
    page.keyboard.press("n")
    expect(notes(page).get_by_label("Note", exact=True)).to_be_focused()
    page.keyboard.type("Ask Vera about the budget")
    page.keyboard.press("Escape")
    notes(page).get_by_role("button", name="Blue").click()
    notes(page).get_by_role("button", name="Larger").click()
    saved(page)
    [note] = draft_of(town, "survey")["ui"]["notes"]
    assert (note["text"], note["color"], note["width"]) == ("Ask Vera about the budget", "blue", 240)

    page.locator(".react-flow__pane").click(position={"x": 30, "y": 300})
    page.keyboard.press("Control+f")
    page.get_by_label("Find in the journey").fill("vera")
    page.keyboard.press("Enter")
    expect(notes(page).locator(".pfb-selected")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Outline").click()
    expect(page.get_by_label("Note 1", exact=True)).to_have_value("Ask Vera about the budget")
    page.get_by_label("Note 1", exact=True).fill("Vera said yes")
    page.get_by_label("Note 1", exact=True).blur()
    page.get_by_role("button", name="Canvas").click()
    expect(page.locator(".pfb-outline")).to_have_count(0)
    expect(notes(page).get_by_label("Note", exact=True)).to_have_value("Vera said yes")
    saved(page)

    page.get_by_role("button", name="Undo", exact=False).first.click()
    expect(notes(page).get_by_label("Note", exact=True)).to_have_value("Ask Vera about the budget")
    notes(page).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Delete")
    expect(notes(page)).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(notes(page)).to_have_count(1)
    saved(page)
    page.reload()
    expect(notes(page).get_by_label("Note", exact=True)).to_have_value("Ask Vera about the budget")
    assert heard == []


def test_a_note_is_resized_with_the_mouse_and_taken_back(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    page.get_by_role("button", name="Note", exact=True).click()
    expect(notes(page).get_by_label("Note", exact=True)).to_be_focused()
    corner = notes(page).locator(".react-flow__resize-control.handle.bottom.right")
    at_rest(page)
    corner.hover()
    box = corner.bounding_box()
    assert box is not None
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=5)
    expect(notes(page)).to_have_attribute("style", re.compile("width: 2[2-9]"))
    page.mouse.up()
    saved(page)
    [note] = draft_of(town, "survey")["ui"]["notes"]
    assert note["width"] > 220
    assert note["height"] > 130
    page.get_by_role("button", name="Undo", exact=False).first.click()
    saved(page)
    [note] = draft_of(town, "survey")["ui"]["notes"]
    assert (note["width"], note["height"]) == (200, 120)

    # Moved by the arrow keys, copied together with a step, and torn off again.
    notes(page).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    eventually(page, lambda: draft_of(town, "survey")["ui"]["notes"][0]["x"] > note["x"])
    saved(page)
    step(page, "Exit").click(modifiers=["Shift"])
    page.keyboard.press("Control+d")
    expect(notes(page)).to_have_count(2)
    expect(step(page, "Exit 2")).to_have_count(1)
    page.keyboard.press("Delete")
    expect(notes(page)).to_have_count(1)
    saved(page)
    assert len(draft_of(town, "survey")["ui"]["notes"]) == 1


def test_the_journey_is_exported_as_a_picture(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/journeys/welcome/edit")
    expect(step(page, "Welcome 1")).to_be_visible()
    page.get_by_role("button", name="Note", exact=True).click()
    expect(notes(page).get_by_label("Note", exact=True)).to_be_focused()
    page.keyboard.type("<b>5 & 6</b>")
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture (SVG)").click()
    assert re.fullmatch(r"welcome-\d{4}-\d\d-\d\d\.svg", download.value.suggested_filename)
    root = ElementTree.fromstring(Path(download.value.path()).read_text("utf-8"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    names = {raw["name"] for raw in draft_of(town, "welcome")["nodes"].values() if raw.get("name")}
    assert names <= {*texts}
    assert {"<b>5 & 6</b>", "Who enters", "yes", "no"} <= {*texts}
    edges = draft_of(town, "welcome")["edges"]
    assert len([path for path in root.iter(f"{SVG}path") if path.get("marker-end")]) == len(edges) + 1

    if not page.get_by_role("button", name="Picture (PNG)").is_visible():
        page.get_by_text("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert download.value.suggested_filename.endswith(".png")
    content = Path(download.value.path()).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == 2 * round(float(root.get("width", "0")))
    assert height == 2 * round(float(root.get("height", "0")))
    assert heard == []


SCREENS = [(1, 0), (1.25, 2), (3, 5)]
"""Device pixels to a pixel of the page, and how often the canvas was made smaller: askew, as on a laptop with a zoomed browser."""
DIFFERENT = """async ([one, other]) => {
  const pixels = async (bytes) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0))]));
    const pen = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height }).getContext("2d");
    pen.drawImage(bitmap, 0, 0);
    return pen.getImageData(0, 0, bitmap.width, bitmap.height).data;
  };
  const [first, second] = await Promise.all([pixels(one), pixels(other)]);
  let differing = first.length === second.length ? 0 : Infinity;
  for (let n = 0; n < first.length; n += 4) if ([0, 1, 2].some((part) => Math.abs(first[n + part] - second[n + part]) > 40)) differing += 1;
  return { differing, all: first.length / 4, inked: first.filter((value, at) => at % 4 === 2 && value < 200).length };
}"""


def test_a_picture_has_the_same_pixels_whatever_screen_it_is_taken_on(site: Any, chrome: Browser) -> None:
    taken = []
    with site.served():
        for ratio, smaller in SCREENS:
            context = site.context(chrome, device_scale_factor=ratio)
            page = site.log_in(context, "marketer")
            page.goto("/ui/journeys/welcome/edit")
            expect(step(page, "Welcome 1")).to_be_visible()
            for _ in range(smaller):
                page.get_by_role("button", name="Zoom out").click()
                at_rest(page)
            page.get_by_text("More", exact=True).click()
            with page.expect_download() as download:
                page.get_by_role("button", name="Picture (PNG)").click()
            taken.append(b64encode(Path(download.value.path()).read_bytes()).decode())
            if ratio == SCREENS[-1][0]:
                found = [page.evaluate(DIFFERENT, [taken[0], other]) for other in taken]
            context.close()
    assert [one["differing"] for one in found] == [0, 0, 0]
    assert found[0]["inked"] > 10_000  # and there is a drawing on it


def test_an_open_menu_stays_open_while_the_head_of_the_page_changes(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    expect(step(page, "Welcome 1")).to_be_visible()
    page.get_by_text("More", exact=True).click()
    picture = page.get_by_role("button", name="Picture (SVG)")
    expect(picture).to_be_visible()
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        changed = {**draft_of(town, "welcome"), "description": "Said in other words."}
        publish.save_draft(session, journey.id, changed, journey.revision, "test", town.engine.clock.now())
    expect(page.locator(".pfb-head").get_by_text("Unpublished changes")).to_be_visible(timeout=60_000)
    expect(picture).to_be_visible()


def test_days_stand_on_messages_and_can_be_hidden(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    expect(step(page, "Welcome 1").locator(".pfb-hint")).to_contain_text("Day 1")
    expect(step(page, "Welcome 2: tips").locator(".pfb-hint")).to_contain_text(re.compile(r"Day [2-9]"))
    page.get_by_role("button", name="Days", exact=True).click()
    expect(page.locator(".pfb-hint")).to_have_count(0)
    page.reload()
    expect(step(page, "Welcome 1")).to_be_visible()
    expect(page.locator(".pfb-hint")).to_have_count(0)


def test_it_speaks_german(serve: Serve, enter: Enter, town: Any) -> None:
    with serve():
        page = enter("marketer")
        with town.db.write() as session:
            session.execute(update(Member).where(Member.id == town.members["marketer"]).values(locale="de"))  # type: ignore[arg-type]
        page.goto("/ui/journeys/welcome/edit")
        page.get_by_role("button", name="Zahlen").click()
        expect(figure(step(page, "Welcome 1"), "5 gesendet")).to_be_visible()
        expect(figure(step(page, "Welcome 1"), "geöffnet: 2")).to_have_text(re.compile("40\\s%"))
        figure(step(page, "Welcome 1"), "jetzt hier").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Wartet bei „Welcome 1“")
        page.goto("/ui/journeys/welcome/edit")
        page.get_by_role("button", name="Kontakt verfolgen").click()
        expect(page.get_by_text("Neueste Durchläufe")).to_be_visible()


def test_a_german_reader_finds_the_keys_of_a_german_keyboard(served: None, enter: Enter, town: Any) -> None:
    with town.db.write() as session:
        session.get_one(Member, town.members["marketer"]).locale = "de"
    page = enter("marketer")
    page.goto("/ui/journeys/welcome/edit")
    expect(page.get_by_role("button", name="Suchen", exact=True)).to_have_attribute("title", "Suchen (Strg F)")
    page.get_by_role("button", name="Tastenkürzel").click()
    keys = page.get_by_role("dialog").locator("kbd")
    expect(keys.filter(has_text="Strg Umschalt Z / Strg Y")).to_be_visible()
    expect(keys.filter(has_text="Entf")).to_be_visible()
