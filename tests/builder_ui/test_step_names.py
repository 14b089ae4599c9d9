"""What people call steps that nobody named: by their kind, with a number from the second on; ids are for engineers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update
from sqlmodel import col, select

from activities.templates import library as templates
from builder_ui.builder import cards
from builder_ui.builder.draft import Draft
from builder_ui.kit import labels
from builder_ui.kit.i18n import translator_for
from engine.versions import publish
from journeys.nodes import Palette
from models import Member, Run, Template
from tests.builder_ui.browsing import Enter
from tests.builder_ui.drawing import at_rest, offer, pick, saved, step, write

KEY = "nameless"
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Spring</mj-text></mj-column></mj-section></mj-body></mjml>"
WAIT = {"kind": "wait", "duration": "P1D"}
IDS = ("send_email_2", "wait_2", "wait_10", "exit_z")
"""What stands on no page of a marketer."""


def document(mail: str) -> dict[str, Any]:
    nodes = {
        "wait_10": WAIT,
        "wait": WAIT,
        "send_email_2": {"kind": "send_email", "template": mail},
        "wait_2": {**WAIT, "duration": "P2D"},
        "exit_z": {"kind": "exit"},
    }
    ways = [("send_email_2", "sent", "wait"), ("wait", "next", "wait_2"), ("wait_2", "next", "wait_10"), ("wait_10", "next", "exit_z")]
    edges = [{"from": source, "outlet": outlet, "to": to} for source, outlet, to in ways]
    entry = {"triggers": [{"type": "manual"}, {"type": "event", "event": "Nameless"}]}
    settings = {"message_class": "marketing", "purpose": "marketing"}
    return {
        "spec": 1,
        "key": KEY,
        "name": "N",
        "entry": entry,
        "start": "send_email_2",
        "nodes": nodes,
        "edges": edges,
        "settings": settings,
    }


def test_a_name_counts_and_labels_have_numbers_from_the_second_on() -> None:
    steps = {"wait_10": ("", "Wait"), "a": ("Hello", "Wait"), "wait": ("", "Wait"), "wait_2": ("", "Wait"), "end": ("", "Exit")}
    assert labels.told_apart(steps) == {"wait_10": "Wait 3", "a": "Hello", "wait": "Wait", "wait_2": "Wait 2", "end": "Exit"}


def test_no_number_makes_a_name_that_another_step_has() -> None:
    steps = {"a": ("Wait 2", "Wait"), "b": ("", "Wait"), "c": ("", "Wait"), "d": ("Exit", "Wait"), "e": ("", "Exit")}
    assert labels.told_apart(steps) == {"a": "Wait 2", "b": "Wait", "c": "Wait 3", "d": "Exit", "e": "Exit 2"}


@pytest.mark.parametrize(
    ("language", "names"), [("en", ["Send e-mail", "Wait", "Wait 2"]), ("de", ["E-Mail senden", "Warten", "Warten 2"])]
)
def test_the_same_names_stand_on_cards_and_pages(language: str, names: list[str]) -> None:
    t, palette, drawn = translator_for(language), Palette.built_in(), document("welcome")["nodes"]
    views = cards.drawing(t, palette, Draft(document("welcome")))["nodes"]
    parsed = {id: palette.parse(id, raw) for id, raw in drawn.items()}
    told = labels.names_of(t, parsed)  # type: ignore[arg-type]
    assert {id: node["view"]["called"] for id, node in views.items() if id in drawn} == told
    assert [told[id] for id in ("send_email_2", "wait", "wait_2")] == names


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_page_of_a_marketer_shows_an_id(language: str, town: Any, log_in: Any, opened: Any) -> None:
    with town.db.write() as session:
        session.execute(update(Member).where(col(Member.role) == "marketer").values(locale=language))
        mail = publish.get_journey(session, "welcome").draft["nodes"]["hello"]["template"]
        journey = publish.create_journey(session, document(mail), "test", town.now)
        publish.publish(town.engine, session, journey.id, "test", "", town.now)
    [run] = town.happens("Anna", "Nameless")
    town.walk(run, town.now + timedelta(days=1, hours=1))
    with town.db.read() as session:
        assert session.scalar(select(Run.node).where(Run.id == run)) == "wait_2"
    client, read = log_in("marketer"), {}
    for path in (
        f"/ui/journeys/{KEY}",
        f"/ui/journeys/{KEY}?tab=runs",
        f"/ui/journeys/{KEY}/edit",
        f"/ui/journeys/{KEY}/people?node=wait_2&what=waiting",
        f"/ui/runs/{run}",
        f"/ui/contacts/{town.people['Anna']}",
    ):
        with opened(client, path) as page:
            read[path] = page.text
    second = "Warten 2" if language == "de" else "Wait 2"
    assert [
        text[place.start() - 80 : place.end() + 9] for text in read.values() for place in re.finditer(rf"\b({'|'.join(IDS)})\b", text)
    ] == []
    with town.db.read() as session:
        named = session.scalars(select(Template.name).where(Template.key == mail)).one()
    assert mail not in read[f"/ui/journeys/{KEY}"]
    assert named in read[f"/ui/journeys/{KEY}"]
    assert [path for path, text in read.items() if second not in text and not path.endswith("/edit")] == []  # cards are drawn by the canvas


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_a_second_step_of_a_kind_has_a_number_on_its_card_until_it_has_a_name(page: Page, town: Any) -> None:
    templates.save(
        town.db,
        "spring",
        {"en": {"subject": "Spring", "mjml": MJML}},
        name="Spring letter",
        kind="email",
        message_class="transactional",
        actor="test",
        now=town.now,
    )
    with town.db.write() as session:
        publish.create_journey(session, document("spring"), "test", town.now)
    page.goto(f"/ui/journeys/{KEY}/edit")
    expect(step(page, "Wait 3")).to_be_visible()
    at_rest(page)
    expect(step(page, "Send e-mail")).to_contain_text("Spring letter")
    offer(page, "Wait").click()
    expect(step(page, "Wait 4")).to_have_count(1)
    pick(page, "Wait 2")
    write(page, "Name", "Patience")
    expect(step(page, "Patience")).to_be_visible()
    expect(step(page, "Wait 4")).to_have_count(0)
    page.get_by_role("button", name="Outline").click()
    expect(page.locator(".pfb-outline")).to_contain_text("Wait 3")
    for id in IDS:
        expect(page.locator(".pfb-outline")).not_to_contain_text(id)
    saved(page)
