"""What somebody makes on another page is offered in an open builder without a reload, and without a look at another window. Real Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from activities.templates import library as templates
from builder_ui.builder.lookups import load
from builder_ui.kit.i18n import translator_for
from crm.catalogue import declare_field
from engine.versions import publish
from tests.builder_ui.browsing import Enter
from tests.builder_ui.drawing import pick, step
from workspace import secrets
from workspace.members import add_member, put_rotation

KEY = "elsewhere"
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Spring</mj-text></mj-column></mj-section></mj-body></mjml>"
NODES: dict[str, dict[str, Any]] = {
    "mail": {"kind": "send_email", "name": "Mail"},
    "owner": {"kind": "assign_owner", "name": "Owner", "to": "pool"},
    "task": {"kind": "create_task", "name": "Task", "title": "Call"},
    "hook": {"kind": "call_webhook", "name": "Hook", "url": "https://example.org"},
}


@pytest.fixture
def page(served: None, enter: Enter, town: Any) -> Page:
    with town.db.write() as session:
        publish.create_journey(session, {"spec": 1, "key": KEY, "name": "Elsewhere", "nodes": NODES}, "test", town.now)
    page = enter("marketer")
    page.goto(f"/ui/journeys/{KEY}/edit")
    expect(step(page, "Mail")).to_be_visible()
    return page


def offered(page: Page, text: str) -> Locator:
    return page.locator(".pfb-panel option", has_text=text)


def test_whatever_is_made_elsewhere_can_be_chosen_at_once(page: Page, town: Any) -> None:
    pick(page, "Mail")
    assert offered(page, "Spring letter").count() == 0
    mail = {"name": "Spring letter", "kind": "email", "message_class": "transactional", "actor": "test", "now": town.now}
    templates.save(town.db, "spring", {"en": {"subject": "Spring", "mjml": MJML}}, **mail)
    expect(offered(page, "Spring letter")).to_have_count(1)
    pick(page, "Owner")
    with town.db.write() as session:
        put_rotation(session, "night", [town.members["sales"]], "Night shift")
    expect(offered(page, "Night shift")).to_have_count(1)
    pick(page, "Task")
    with town.db.write() as session:
        add_member(session, "Nora New", "nora@example.com", "sales", town.now)
    expect(offered(page, "Nora New").first).to_be_attached()
    with town.db.write() as session:
        declare_field(session, "shoe_size", "number", town.now, title="Shoe size")
    expect(page.locator('#pfb-fields option[value="shoe_size"]')).to_be_attached()


def test_what_is_typed_stays_while_something_is_made_elsewhere(page: Page, town: Any) -> None:
    pick(page, "Task")
    title = page.locator(".pfb-panel").get_by_label("Title").first
    title.fill("Call them about")
    with town.db.write() as session:
        declare_field(session, "shoe_size", "number", town.now, title="Shoe size")
    expect(page.locator('#pfb-fields option[value="shoe_size"]')).to_be_attached()
    expect(title).to_have_value("Call them about")
    expect(title).to_be_focused()


def test_every_kind_of_thing_is_noticed(town: Any) -> None:
    with town.db.read() as session:
        before = load(session, translator_for("en"))
    with town.db.write() as session:
        secrets.put(session, town.engine.address_keys, "slack", "https://hooks.example.org/x", "test", town.now)
    with town.db.read() as session:
        after = load(session, translator_for("en"))
    assert before.stamp != after.stamp
    assert [name for name, _ in after.choices["secret"]] == ["slack"]
