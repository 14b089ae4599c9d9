"""A marketer draws: by mouse, by keyboard, with undo, publishing, and somebody else who saves in between. Real Chromium, real server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from engine import publish
from journeys.reading import read
from tests.builder_ui.browsing import Enter, Serve, complaints
from tests.builder_ui.drawing import at_rest


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


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


def saved(page: Page) -> None:
    """Waits until everything drawn is stored."""
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "true")
    expect(page.locator(".pfb-status")).to_have_text(re.compile("^Saved"))


def stored(town: Any, key: str) -> Any:
    with town.db.read() as session:
        return read(publish.get_journey(session, key).draft)


def edges(document: Any) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.outlet, edge.to) for edge in document.edges}


def drag(page: Page, what: Locator, onto: Locator) -> None:
    at_rest(page)
    start, end = what.bounding_box(), onto.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 20, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 60, start["y"] + 40, steps=4)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=8)
    page.mouse.up()


def test_a_journey_is_drawn_by_mouse_published_and_taken_back(page: Page, town: Any) -> None:
    heard = complaints(page)
    begin(page, "by_mouse")
    palette = page.get_by_role("navigation", name="Steps to add")

    # From the palette onto the edge between start and exit; the layout makes room.
    drag(page, palette.get_by_role("button", name="Send e-mail"), page.locator(".react-flow__edgelabel-renderer .pfb-plus").first)
    expect(step(page, "Send e-mail")).to_be_visible()
    saved(page)
    mail = stored(town, "by_mouse")
    assert mail.start == "send_email"
    assert ("send_email", "sent", "exit") in edges(mail)

    # Between two steps, from the menu of the edge, by its search.
    page.locator('[data-way="send_email:sent"]').click()
    page.get_by_role("combobox", name="Search steps").fill("fixed time")
    page.get_by_role("option").first.click()
    expect(step(page, "Wait")).to_be_visible()

    # Onto the free canvas, then connected by its handles.
    pane = page.locator(".react-flow__pane").bounding_box()
    assert pane is not None
    drag_to_corner(page, palette.get_by_role("button", name="Notify team"), pane)
    notify = step(page, "Notify team")
    expect(notify).to_be_visible()
    failed = step(page, "Send e-mail").locator('.react-flow__handle[data-handleid="failed"]')
    connect(page, failed, notify.locator(".react-flow__handle.target"))
    connect(page, notify.locator(".react-flow__handle.source"), step(page, "Exit").locator(".react-flow__handle.target"))
    saved(page)
    drawn = stored(town, "by_mouse")
    assert {("send_email", "failed", "notify_team"), ("notify_team", "next", "exit"), ("wait", "next", "exit")} <= edges(drawn)

    # A form: the card says it, undo takes it back and the form follows.
    step(page, "Wait").click()
    page.get_by_label("How long").fill("3")
    page.get_by_label("How long").press("Enter")
    expect(step(page, "Wait")).to_contain_text("3 days")
    saved(page)
    assert stored(town, "by_mouse").nodes["wait"]["duration"] == "P3D"
    page.get_by_role("button", name="Undo").click()
    expect(step(page, "Wait")).to_contain_text("1 day")
    expect(page.get_by_label("How long")).to_have_value("1")
    page.get_by_role("button", name="Redo").click()
    expect(step(page, "Wait")).to_contain_text("3 days")

    # Nobody enters yet, so it cannot go live; then it can.
    step(page, "Who enters").click()
    page.get_by_role("button", name="Add: Event happens").click()
    page.locator("#pfb-entry-entry-triggers-0-event").fill("Signed Up")
    page.locator("#pfb-entry-entry-triggers-0-event").press("Enter")
    expect(step(page, "Who enters")).to_contain_text("Signed Up")
    saved(page)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="This will change")).to_be_visible()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text("Version 1 is live.")).to_be_visible()
    assert town.journey("by_mouse").live_version == 1

    # Deleting closes the gap; undo brings it back.
    step(page, "Wait").click()
    page.keyboard.press("Delete")
    expect(step(page, "Wait")).to_have_count(0)
    saved(page)
    assert ("send_email", "sent", "exit") in edges(stored(town, "by_mouse"))
    page.keyboard.press("Control+z")
    expect(step(page, "Wait")).to_be_visible()
    saved(page)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Nothing changed since the live version.")).to_be_visible()
    assert heard == []


def drag_to_corner(page: Page, what: Locator, pane: Any) -> None:
    at_rest(page)
    start = what.bounding_box()
    assert start is not None
    page.mouse.move(start["x"] + 20, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(pane["x"] + 100, pane["y"] + 120, steps=6)
    page.mouse.move(pane["x"] + 170, pane["y"] + 150, steps=4)
    page.mouse.up()


def connect(page: Page, source: Locator, target: Locator) -> None:
    at_rest(page)
    start, end = source.bounding_box(), target.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] - 20, end["y"] - 20, steps=6)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=6)
    page.mouse.up()


def follow(page: Page, field: Locator, choice: str) -> None:
    """Chooses what follows, by typing its name, and sets it with the button behind the list."""
    field.focus()
    page.keyboard.type(choice)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def test_a_journey_is_built_by_keyboard(page: Page, town: Any) -> None:
    heard = complaints(page)
    begin(page, "by_keyboard")

    # The start is chosen like any step; its form says what follows.
    step(page, "Who enters").focus()
    page.keyboard.press("Enter")
    after = page.get_by_label("After “Start”", exact=True)
    expect(after).to_have_value("exit")
    follow(page, after, "If / else")
    expect(step(page, "If / else")).to_be_visible()
    yes = page.get_by_label("After “yes”", exact=True)
    expect(yes).to_have_value("exit")
    follow(page, page.get_by_label("After “no”", exact=True), "Change score")
    expect(step(page, "Change score")).to_be_visible()
    follow(page, page.get_by_label("After “on”", exact=True), "Exit · exit")
    saved(page)

    # The rule reads as a sentence.
    step(page, "If / else").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add a condition: Tag").press("Enter")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag vip")
    page.get_by_label("Tag", exact=True).fill("gold")
    page.keyboard.press("Tab")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag gold")
    page.get_by_label("All or any").select_option("or")
    expect(page.locator(".pfb-sentence")).to_contain_text("or has the tag gold")

    # Find, the list of keys, the outline.
    page.keyboard.press("Control+f")
    page.get_by_role("searchbox", name="Find in the journey").fill("points")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Points")).to_be_visible()
    page.keyboard.press("Escape")
    step(page, "Change score").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Outline").click()
    lines = page.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(lines).to_have_count(4)
    line = lines.filter(has=page.get_by_role("button", name="Change score"))
    follow(page, line.get_by_label("After “on”", exact=True), "Wait")
    expect(lines).to_have_count(5)
    page.locator(".pfb-outline").get_by_role("button", name="Undo").click()
    expect(lines).to_have_count(4)
    saved(page)
    drawn = stored(town, "by_keyboard")
    assert {("if_else", "yes", "exit"), ("if_else", "no", "change_score"), ("change_score", "next", "exit")} == edges(drawn)
    assert drawn.nodes["if_else"]["rule"]["rules"][1] == {"tag": "gold"}
    assert heard == []


def test_steps_are_copied_into_another_journey(page: Page, town: Any, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/ui/journeys/cart_abandonment/edit")
    expect(step(page, "Reminder")).to_be_visible()
    step(page, "Reminder").click()
    step(page, "A day").click(modifiers=["Shift"])
    expect(page.get_by_role("heading", name="2 steps chosen")).to_be_visible()
    page.keyboard.press("Control+c")
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    page.locator(".react-flow__pane").click(position={"x": 40, "y": 300})
    page.keyboard.press("Control+v")
    expect(step(page, "Reminder")).to_be_visible()
    saved(page)
    assert ("send_email", "sent", "wait") in edges(stored(town, "survey"))


def test_a_journey_is_exported_as_a_file(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as a file").click()
    assert download.value.suggested_filename == "welcome.json"
    assert read(download.value.path().read_bytes()) == stored(town, "welcome")


def test_two_people_change_a_journey_and_one_decides(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    with town.db.write() as session:
        journey = publish.get_journey(session, "survey")
        other = {**journey.draft, "description": "Changed by somebody else."}
        publish.save_draft(session, journey.id, other, journey.revision, f"member:{town.members['admin']}", town.engine.clock.now())
    step(page, "Make a voucher").click()
    page.get_by_label("Name", exact=True).fill("Mine")
    page.get_by_label("Name", exact=True).press("Enter")
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Alex Admin saved this journey")
    assert stored(town, "survey").nodes["voucher"]["name"] == "Make a voucher"
    dialog.get_by_role("button", name="Take theirs").click()
    expect(step(page, "Make a voucher")).to_be_visible()
    expect(step(page, "Mine")).to_have_count(0)
    assert stored(town, "survey").description == "Changed by somebody else."


def test_work_done_while_the_server_was_away_is_kept(serve: Serve, enter: Enter, town: Any) -> None:
    with serve():
        page = enter("marketer")
        page.goto("/ui/journeys/survey/edit")
        expect(step(page, "Make a voucher")).to_be_visible()
    expect(page.get_by_text("The connection is lost.")).to_be_visible()
    page.get_by_role("navigation", name="Steps to add").get_by_role("button", name="Wait", exact=True).click()
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "false")
    with serve():
        expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "true", timeout=20_000)
        assert "wait" in stored(town, "survey").nodes


def test_who_may_only_read_can_look_and_change_nothing(serve: Serve, enter: Enter, town: Any) -> None:
    with serve():
        page = enter("viewer")
        page.goto("/ui/journeys/welcome/edit")
        expect(step(page, "Welcome 1")).to_be_visible()
        expect(page.get_by_role("navigation", name="Steps to add")).to_have_count(0)
        expect(page.get_by_role("button", name="Publish")).to_have_count(0)
        step(page, "Welcome 1").click()
        expect(page.get_by_label("Name", exact=True)).to_be_disabled()
        before = stored(town, "welcome")
        page.keyboard.press("Delete")
        expect(step(page, "Welcome 1")).to_be_visible()
        assert stored(town, "welcome") == before


def test_numbers_are_shown_on_the_steps(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Numbers").click()
    first = step(page, "Welcome 1")
    expect(first.locator(".pfb-counts")).to_contain_text("5")
    page.get_by_role("button", name="Hide numbers").click()
    expect(page.locator(".pfb-counts")).to_have_count(0)
