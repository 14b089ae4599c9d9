"""A marketer draws: by mouse, by keyboard, with undo, publishing, and somebody else who saves in between. Real Chromium, real server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import delete

from engine.versions import publish
from journeys.reading import read
from models import DraftRevision
from tests.builder_ui.browsing import Enter, Serve, complaints
from tests.builder_ui.drawing import (
    begin,
    connect,
    drag_onto,
    drag_to,
    edges,
    fill_in,
    follow,
    into_form,
    pick,
    press,
    saved,
    settle,
    step,
    stored,
    write,
)


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_a_journey_is_drawn_by_mouse_published_and_taken_back(page: Page, town: Any) -> None:
    heard = complaints(page)
    begin(page, "by_mouse")

    # From the palette onto the edge between start and exit; the layout makes room.
    drag_onto(page, "Send e-mail", "$entry:next")
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
    drag_to(page, "Notify team", 170, 150)
    expect(step(page, "Notify team")).to_be_visible()
    connect(page, "Send e-mail", "failed", "Notify team")
    connect(page, "Notify team", "next", "Exit")
    saved(page)
    drawn = stored(town, "by_mouse")
    assert {("send_email", "failed", "notify_team"), ("notify_team", "next", "exit"), ("wait", "next", "exit")} <= edges(drawn)

    # A form: the card says it, undo takes it back and the form follows.
    pick(page, "Wait")
    write(page, "How long", "3")
    expect(step(page, "Wait")).to_contain_text("3 days")
    saved(page)
    assert stored(town, "by_mouse").nodes["wait"]["duration"] == "P3D"
    page.get_by_role("button", name="Undo").click()
    expect(step(page, "Wait")).to_contain_text("Not complete yet")
    expect(page.get_by_label("How long")).to_have_value("")
    page.get_by_role("button", name="Redo").click()
    expect(step(page, "Wait")).to_contain_text("3 days")

    # Nobody enters yet, so it cannot go live; then it can.
    pick(page, "Who enters")
    page.get_by_role("button", name="Add: Event happens").click()
    page.locator("#pfb-entry-entry-triggers-0-event").fill("Signed Up")
    page.locator("#pfb-entry-entry-triggers-0-event").press("Enter")
    expect(step(page, "Who enters")).to_contain_text("Signed Up")
    saved(page)

    # Nothing of the new steps was filled in by itself, so each says what it needs, and none of it goes out.
    page.get_by_role("button", name="Publish").click()
    review = page.get_by_role("region", name="Before publishing")
    expect(review.get_by_role("heading")).to_have_text("This cannot go live yet")
    for name, field in (("Send e-mail", "Template"), ("Notify team", "Text"), ("Journey", "Consent purpose")):
        expect(review).to_contain_text(re.compile(f"{name}[^:]*: “{field}” is"))
    review.get_by_role("button", name="Not now").click()
    settle(page)
    pick(page, "Send e-mail")
    page.locator("#pfb-send_email-template").select_option("welcome-1-hello")
    pick(page, "Notify team")
    expect(page.get_by_label("Text")).to_have_attribute("placeholder", "for example: {{ contact.email }} asked for a call.")
    page.get_by_label("Text").fill("Somebody came in.")
    page.get_by_label("Text").press("Tab")
    page.get_by_label("Recipient 1").select_option("owner")
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


def test_a_journey_is_built_by_keyboard(page: Page, town: Any) -> None:
    heard = complaints(page)
    begin(page, "by_keyboard")

    # The start is chosen like any step; its form says what follows.
    into_form(page, "$entry")
    expect(page.get_by_label("After “Start”", exact=True)).to_have_value("exit")
    follow(page, "Start", "If / else (new)")
    expect(step(page, "If / else")).to_be_focused()
    into_form(page, "if_else")
    expect(page.get_by_label("After “yes”", exact=True)).to_have_value("exit")
    follow(page, "no", "Change score (new)")
    expect(step(page, "Change score")).to_be_focused()
    into_form(page, "change_score")
    follow(page, "continue", "Exit")
    saved(page)

    # The rule reads as a sentence.
    into_form(page, "if_else")
    press(page, "Add a condition: Tag")
    expect(page.locator(".pfb-sentence")).to_contain_text("Not complete yet")
    expect(page.locator(".pfb-term :focus")).to_have_count(1)
    fill_in(page, page.get_by_label("Tag", exact=True), "gold")
    page.keyboard.press("Tab")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag gold")
    page.get_by_label("All or any").select_option("or")
    press(page, "Add a condition: Tag")
    expect(page.get_by_label("Tag", exact=True)).to_have_count(2)
    expect(page.get_by_label("Tag", exact=True).last).to_be_focused()
    fill_in(page, page.get_by_label("Tag", exact=True).last, "vip")
    page.keyboard.press("Tab")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag gold or has the tag vip")

    # Find, the list of keys, the outline.
    page.keyboard.press("Control+f")
    page.get_by_role("searchbox", name="Find in the journey").fill("Change score")
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
    line.get_by_label("After “continue”", exact=True).focus()
    page.keyboard.type("Wait")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(lines).to_have_count(5)
    page.locator(".pfb-outline").get_by_role("button", name="Undo").click()
    expect(lines).to_have_count(4)
    saved(page)
    drawn = stored(town, "by_keyboard")
    assert {("if_else", "yes", "exit"), ("if_else", "no", "change_score"), ("change_score", "next", "exit")} == edges(drawn)
    assert drawn.nodes["if_else"]["rule"]["rules"] == [{"tag": "gold"}, {"tag": "vip"}]
    assert heard == []


def test_steps_are_copied_into_another_journey(page: Page, town: Any, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/ui/journeys/cart_abandonment/edit")
    expect(step(page, "Reminder")).to_be_visible()
    step(page, "Reminder").click()
    step(page, "A day").click(modifiers=["Shift"])
    expect(page.get_by_role("heading", name="2 steps selected")).to_be_visible()
    page.keyboard.press("Control+c")
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    page.locator(".react-flow__pane").click(position={"x": 40, "y": 300})
    page.keyboard.press("Control+v")
    expect(step(page, "Reminder")).to_be_visible()
    saved(page)
    assert ("send_email", "sent", "wait") in edges(stored(town, "survey"))
    page.keyboard.press("Control+v")
    expect(step(page, "Reminder 2")).to_be_visible()
    saved(page)
    assert [one["name"] for one in stored(town, "survey").nodes.values() if one["kind"] == "send_email"] == ["Reminder", "Reminder 2"]


def test_a_journey_is_exported_as_a_file(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as a file").click()
    assert download.value.suggested_filename == "welcome.json"
    assert read(download.value.path().read_bytes()) == stored(town, "welcome")


def test_two_people_change_a_journey_and_one_decides_where_nobody_knows_what_they_began_with(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/survey/edit")
    expect(step(page, "Make a voucher")).to_be_visible()
    with town.db.write() as session:
        journey = publish.get_journey(session, "survey")
        other = {**journey.draft, "description": "Changed by somebody else."}
        publish.save_draft(session, journey.id, other, journey.revision, f"member:{town.members['admin']}", town.engine.clock.now())
        journey.revision -= 2  # the database was put back to an earlier state
        session.execute(delete(DraftRevision))
    pick(page, "Make a voucher")
    write(page, "Name", "Mine")
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
        pick(page, "Welcome 1")
        expect(page.get_by_label("Name", exact=True)).to_be_disabled()
        before = stored(town, "welcome")
        page.keyboard.press("Delete")
        expect(step(page, "Welcome 1")).to_be_visible()
        assert stored(town, "welcome") == before


def test_numbers_are_shown_on_the_steps(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    page.get_by_role("button", name="Metrics").click()
    first = step(page, "Welcome 1")
    expect(first.locator(".pfb-counts")).to_contain_text("5")
    page.get_by_role("button", name="Hide metrics").click()
    expect(page.locator(".pfb-counts")).to_have_count(0)
