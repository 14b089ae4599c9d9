"""Conditions of every kind, added and filled in by mouse. Real Chromium, real server."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from journeys.rules import parse_rule
from journeys.rules.terms import TERMS, SegmentTerm, TopicTerm
from tests.builder_ui.browsing import Enter
from tests.builder_ui.drawing import begin, follow, into_form, pick, saved, stored


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("marketer")


def test_a_condition_of_every_kind_is_added_filled_in_and_stored(page: Page, town: Any) -> None:
    begin(page, "conditions")
    into_form(page, "$entry")
    follow(page, "Start", "If / else (new)")
    pick(page, "If / else")
    sentence = page.locator(".pfb-sentence")
    kinds = [term for term in TERMS if term not in (SegmentTerm, TopicTerm)]  # chosen from those of the workspace, which has none yet
    for number, term in enumerate(kinds, 1):
        page.get_by_role("button", name=f"Add a condition: {term.label}", exact=True).first.click()
        expect(conditions(page)).to_have_count(number)
    expect(sentence).to_have_text("Not complete yet")
    field, event, sequence, message, source, consent, age, score, tag = conditions(page).all()

    write(field.get_by_label("Field", exact=True), "first_name")
    write(field.get_by_label("Value"), "Ada")
    event.get_by_label("Did or did not").select_option("did not do")
    write(event.get_by_label("Event", exact=True), "Order Completed")
    write(event.get_by_label("Times"), "2")
    first, second = sequence.locator(".pfb-item").all()
    write(first.get_by_label("Event"), "Product Viewed")
    write(second.get_by_label("Event"), "Order Completed")
    write(second.get_by_label("Time after the step before"), "3")
    write(sequence.get_by_label("Time from the first to the last step"), "5")
    message.get_by_label("What happened").select_option("was clicked")
    source.get_by_label("Which touch").select_option("Last touch")
    write(source.get_by_label("Within"), "30")
    consent.get_by_label("Channel").select_option("SMS")
    consent.get_by_label("Value").select_option("never asked")
    score.get_by_label("Score").select_option("engagement")
    age.get_by_label("Channel").select_option("SMS")
    age.get_by_label("Value").select_option("withdrawn")
    age.get_by_label("Comparison").select_option("more recently than")
    write(age.get_by_label("Age"), "10")
    write(score.get_by_label("Value"), "20")
    tag.get_by_label("Has or has not").select_option("does not have the tag")
    write(tag.get_by_label("Tag", exact=True), "vip")
    expect(sentence).to_contain_text("first name is “Ada” and did Order Completed fewer than 2 times")
    expect(sentence).to_contain_text("does not have the tag vip")

    source.get_by_label("What is asked").select_option("UTM campaign")
    expect(sentence).to_contain_text("UTM campaign of the last touch is")
    write(source.get_by_label("Value"), "spring")
    expect(sentence).to_contain_text("UTM campaign of the last touch is “spring” (touch in the last 30 days)")

    # Only orders above 50: a rule within the condition, and the conditions after it stay what they are.
    event.get_by_role("button", name="Only with certain properties").click()
    expect(event.locator(".pfb-term")).to_have_count(1)
    write(event.get_by_label("Field", exact=True), "total")
    expect(sentence).to_contain_text("where total is")
    event.get_by_label("Comparison").select_option("is more than")
    expect(sentence).to_contain_text("where total is more than")
    write(event.get_by_label("Value"), "50")
    expect(sentence).to_contain_text("where total is more than 50")
    expect(tag.get_by_label("Tag", exact=True)).to_have_value("vip")
    saved(page)
    [rule] = [raw["rule"] for raw in stored(town, "conditions").nodes.values() if raw["kind"] == "if_else"]
    where = {"rules": [{"field": "total", "operator": ">", "value": 50}]}
    assert parse_rule(rule) == parse_rule(
        {
            "rules": [
                {"field": "first_name", "operator": "=", "value": "Ada"},
                {"event": "Order Completed", "did": False, "count": {"operator": ">=", "value": 2}, "where": where},
                {
                    "sequence": [{"event": "Product Viewed"}, {"event": "Order Completed", "within": "P3D"}],
                    "span": "P5D",
                },
                {"message": "clicked"},
                {"lead_source": "last", "attribute": "utm_campaign", "value": "spring", "within": "P30D"},
                {"consent": "sms", "value": "unknown"},
                {"consent_age": "sms", "value": "withdrawn", "operator": "<", "age": "P10D"},
                {"score": "engagement", "value": 20},
                {"tag": "vip", "has": False},
            ]
        }
    )


def conditions(page: Page) -> Locator:
    """Those of the outermost group."""
    return page.locator(".pfb-field > .pfb-rule > .pfb-term")


def write(field: Locator, text: str) -> None:
    """And leaves the field, which is when its text counts."""
    field.fill(text)
    field.blur()
