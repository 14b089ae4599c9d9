"""What people call the fields of a contact: by a title in their language, wherever a page names one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from builder_ui.kit import labels
from builder_ui.kit.i18n import translator_for
from crm.catalogue import declare_field
from crm.people.profile import update_fields
from journeys.catalogue import FIELD_TITLES
from journeys.rules import parse_rule
from models import Member

GIVEN = {"company": "Muster AG", "city": "Bern", "country": "CH", "lieblingsfarbe": "rot"}


@pytest.mark.parametrize("name", sorted(FIELD_TITLES))
def test_every_usual_field_has_a_title_in_german(name: str) -> None:
    title = labels.field_name(translator_for("de"), name)
    assert title[0].isupper()
    assert title == "Website" or title != labels.field_name(translator_for("en"), name)


def test_a_rule_calls_fields_and_steps_as_people_do() -> None:
    t = translator_for("de")
    assert labels.rule(t, parse_rule({"field": "company", "operator": "=", "value": "Muster AG"})) == "Firma ist „Muster AG“"
    left = parse_rule({"field": "steps.wait_2.level", "operator": "=", "value": "gold"})
    assert "„Warten 2“" in labels.rule(t, left, {"wait_2": "Warten 2"})


def test_the_page_of_a_contact_names_fields_by_their_titles(town: Any, log_in: Any, opened: Any) -> None:
    with town.db.write() as session:
        session.execute(update(Member).where(col(Member.role) == "marketer").values(locale="de"))
        declare_field(session, "lieblingsfarbe", "string", town.now, title="Lieblingsfarbe (für Geschenke)")
        update_fields(session, town.people["Anna"], GIVEN, town.now, "test")
        update_fields(session, town.people["Anna"], {"city": "Basel"}, town.now, "test")
    with opened(log_in("marketer"), f"/ui/contacts/{town.people['Anna']}") as page:
        shown = page.text
    for title in ("Firma", "Ort", "Land", "Lieblingsfarbe (für Geschenke)", "Ort: Bern → Basel"):
        assert title in shown, title
    assert re.findall(r"\b(company|city|country|lieblingsfarbe)\b", shown) == []
