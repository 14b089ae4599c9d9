"""What a marketer who comes from another product does first, each in real Chromium. Here is what no other file does, and where the rest is:

| task | test |
|---|---|
| draw a welcome journey from nothing and go live | `test_a_day.test_a_day_with_the_mouse`, by keyboard `test_a_day_without_a_mouse` |
| change a copy of a template from a step, and come back | here |
| A/B test, waiting until a message is opened, the journey after a purchase | `test_post_purchase` |
| follow a contact on the canvas | `test_canvas_browser.test_one_contact_is_followed_on_the_canvas` |
| explain why a run went the way it went | here; on the canvas `test_canvas_browser.test_a_run_has_a_link_to_its_path` |
| dry run before contacts are moved | `test_operate_browser.test_those_who_wait_are_moved_and_put_back` |
| go back to an earlier version | `test_operate_browser.test_an_earlier_version_comes_back` |
| import people | `test_contacts_browser.test_an_import_from_the_file_to_its_faulty_rows` |
| enrol people | here; looking ahead `test_consequences_browser` |
| find who did not enter, and why | here |
| take, call and finish a task on a phone | `test_sales_browser.test_a_task_is_taken_called_and_finished_with_a_note_in_three_taps` |
| publish and see the consequences | `test_consequences_browser.test_the_dialog_before_publishing_says_who_is_due_next` |
| go on after the server died | `test_two_servers.test_a_server_that_is_killed_takes_nobody_s_work_with_it`, `test_a_day.test_what_is_done_while_the_server_is_away_is_kept` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import col, select

from models import Run, Template
from tests.builder_ui.browsing import Enter, complaints, eventually
from tests.builder_ui.drawing import pick, saved, step, stored


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_a_copy_of_a_template_is_changed_from_a_step_and_chosen_there(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    expect(step(page, "Welcome 1")).to_be_visible()
    pick(page, "Welcome 1")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Edit the template").click()
    editor = opened.value
    expect(editor.locator("h1").first).to_contain_text("Welcome 1")
    editor.get_by_role("link", name="Templates").first.click()
    card = editor.get_by_role("article").filter(has=editor.get_by_role("link", name="Welcome 1: hello")).first
    card.get_by_text("Duplicate", exact=True).first.click()
    card.get_by_role("button", name="Duplicate").click()
    expect(editor.locator("h1").first).to_contain_text("copy")
    with town.db.read() as session:
        copy, name = session.execute(select(Template.key, Template.name).where(col(Template.name).contains("copy"))).one()
    editor.close()
    choice = page.locator("#pfb-hello-template")
    expect(choice.locator("option", has_text=name)).to_have_count(1)
    choice.select_option(copy)
    saved(page)
    assert stored(town, "welcome").nodes["hello"]["template"] == copy


def test_a_run_explains_which_way_it_went_and_what_was_found(page: Page, town: Any) -> None:
    page.goto(f"/ui/runs/{town.run_of('Anna')}")
    asked = page.locator(".event").filter(has=page.get_by_role("heading", name="Read the first one?"))
    expect(asked.locator(".decision")).to_have_text("yes")
    expect(asked.locator(".terms li.good")).to_contain_text("found:")


def test_who_did_not_enter_is_found_with_the_reason(page: Page, town: Any) -> None:
    page.goto("/ui/journeys/welcome")
    page.get_by_role("link", name="Not entered").click()
    row = page.get_by_role("row").filter(has_text="Anna Meier")
    expect(row.first).to_contain_text("contacts may enter it only once")


def test_chosen_people_are_enrolled(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/contacts")
    page.get_by_role("checkbox", name="Felix Baumann").check()
    bar = page.get_by_role("region", name="With selected")
    bar.get_by_text("Enrol", exact=True).click()
    bar.get_by_label("Journey").select_option("welcome")
    bar.get_by_role("button", name="Preview who enters").click()
    expect(bar).to_contain_text("would enter “Welcome”.")
    began = town.now - timedelta(days=30)
    bar.get_by_role("button", name="Enrol now").click()
    eventually(page, lambda: inside(town, "Felix", began))
    assert heard == []


def inside(town: Any, first: str, since: Any) -> bool:
    with town.db.read() as session:
        runs = select(Run.id).where(Run.contact_id == town.people[first], Run.journey_id == town.journey("welcome").id)
        return session.scalars(runs.where(col(Run.started_at) > since)).first() is not None
