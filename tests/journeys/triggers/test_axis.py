"""Triggers are one file each: no other file names one, and one from outside is found in every place that walks the list."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from journeys.triggers import TRIGGERS
from tests.axes import Axis, Tree, named, unwanted

HERE = Path(__file__).parent
TRIGGER = Axis(classes=[one.__name__ for one in TRIGGERS], kinds=[one.kind() for one in TRIGGERS], subject=r"trigger\b|\.type\b|\[.type.\]")


def test_no_other_file_names_a_trigger() -> None:
    found = named(TRIGGER, "journeys/triggers/")
    assert found == {}, unwanted(found, "Let the trigger answer instead, by a method of `Trigger` that these places call:")


@pytest.mark.parametrize(
    "planted",
    [
        "isinstance(one, EventTrigger)",
        "document.DateTrigger(field='birthday')",
        "trigger.type == 'schedule'",
        "'score' != raw['type']",
        "trigger.type in ('event', 'attribute')",
        "{'schedule': 'On a schedule', 'date': 'By date'}",
        "['event', 'manual', 'journey']",
    ],
)
def test_a_file_that_names_one_is_found(planted: str) -> None:
    assert TRIGGER.namings(ast.parse(planted)) != []


@pytest.mark.parametrize("planted", ["case EventTrigger(): pass", "case 'event' | 'manual': pass"])
def test_a_match_on_one_is_found(planted: str) -> None:
    assert TRIGGER.namings(ast.parse(f"match trigger:\n    {planted}")) != []


@pytest.mark.parametrize("allowed", ["{'journey': id, 'event': id, 'contact': id}", "spec.format == 'date'", "['date', 'datetime']"])
def test_other_things_of_the_same_name_are_none(allowed: str) -> None:
    assert TRIGGER.namings(ast.parse(allowed)) == []


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a product says that has two more triggers: two files, two lines in the list."""
    tree = Tree.of(tmp_path_factory.mktemp("product"), "journeys")
    for toy in ("tagged", "yearly"):
        name = f"{toy.title()}Trigger"
        tree.write(f"journeys/triggers/{toy}.py", (HERE / "toys" / f"{toy}.py").read_text("utf-8"))
        tree.add("journeys/triggers/__init__.py", "TRIGGERS", name, f"from journeys.triggers.{toy} import {name}")
    return tree.ask(HERE / "toys" / "story.py")


def test_documents_and_the_schema_know_it(told: Any) -> None:
    assert told["kinds"][-2:] == ["tagged", "yearly"]
    assert told["schema"] == ["TaggedTrigger", "YearlyTrigger"]


def test_its_problems_names_and_rules_are_checked(told: Any) -> None:
    places = [place for place in told["checked"] if place[0].startswith("entry.triggers")]
    assert ["entry.triggers.0.tag", "missing"] in places
    assert ["entry.triggers.1.beside", "unknown_field"] in places
    assert any(field.startswith("entry.triggers.2.rule") for field, _ in places)


def test_the_form_offers_it_and_draws_its_fields(told: Any) -> None:
    tagged, loudly, yearly = (told["form"][name] for name in ("tagged", "loudly", "yearly"))
    assert "+ Tag given" in tagged
    assert "+ Turn of the year" in tagged
    assert "Which tag" in tagged
    assert "pfb-fields" in tagged
    assert "Said aloud." in tagged
    assert "How loudly" not in tagged
    assert "How loudly" in loudly
    assert "Who" in yearly


def test_it_is_said_in_a_sentence(told: Any) -> None:
    assert told["words"] == ["Gets the tag *vip*, 1", "At the turn of the year: language is “de”"]
    assert told["card"] == ["Gets the tag *vip*, 1", "Not complete yet"]


def test_its_page_explains_it(told: Any) -> None:
    assert "## Tag given: `tagged`" in told["docs"]
    assert '{"type": "tagged", "tag": "vip"}' in told["docs"]


def test_the_engine_lets_contacts_in_by_it(told: Any) -> None:
    lived = told["lived"]
    assert (lived["another"], lived["given"], lived["taken"], lived["turned"]) == (0, 1, 1, 2)
    assert [one["rule"] for one in lived["unmet"]] == [[{"path": "", "term": {"tag": "vip"}, "actual": False, "result": False}]]


def test_what_comes_next_on_the_clock_is_foreseen(told: Any) -> None:
    at = "2027-01-01T00:00:00+00:00"
    assert told["lived"]["coming"] == [["yearly", "When the year turns, {from_at}:", at, [["ada", {"scheduled_at": at}]]]]
