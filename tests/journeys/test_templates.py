"""The gallery: every journey is sound, does what its scenarios say, and its mails are whole, in both languages and lawful."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from activities.rendering.compile import compile_template
from activities.rendering.render import render
from engine.interpreter.simulate import Script, simulate
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.document import pretty
from journeys.known import Known, KnownTemplate
from journeys.nodes import Palette
from journeys.templates import AIMS, KEYS, Mail, Scenario, TemplateEntry, gallery

VALUES: dict[str, Any] = {
    "contact": {"first_name": "Ada", "email": "ada@example.com"},
    "trigger": {"products": [{"name": "Tea pot", "price": 80, "quantity": 2}], "currency": "CHF"},
    "sender": {"name": "Muster AG", "address": "Musterweg 1, 3000 Bern"},
    "unsubscribe_url": "https://crm.example.com/u/token",
    "preferences_url": "https://crm.example.com/p/token",
}


def mails() -> list[Any]:
    return [pytest.param(mail, id=mail.key) for entry in gallery() for mail in entry.mails]


def variants() -> Iterator[Any]:
    for entry in gallery():
        for mail in entry.mails:
            for language in mail.variants:
                yield pytest.param(mail, language, id=f"{mail.key}.{language}")


def scenarios() -> Iterator[Any]:
    for entry in gallery():
        for scenario in entry.scenarios:
            yield pytest.param(entry, scenario, id=f"{entry.key}: {scenario.name}")


def test_every_journey_of_the_list_is_there() -> None:
    assert [entry.key for entry in gallery()] == list(KEYS)
    assert all(entry.description for entry in gallery())


def test_every_journey_has_one_aim_and_no_aim_is_empty() -> None:
    """A journey without an aim would stand under no heading of the gallery, an aim without a journey would be a heading over nothing."""
    folders = {folder.name for folder in Path(str(files("journeys.templates"))).iterdir() if (folder / "journey.json").is_file()}
    assert folders == set(KEYS)
    assert len({aim.key for aim in AIMS}) == len({aim.title for aim in AIMS}) == len(AIMS)
    assert {entry.aim for entry in gallery()} == set(AIMS)
    assert all(aim.title and aim.about for aim in AIMS)


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_a_journey_has_no_errors(entry: TemplateEntry) -> None:
    templates = {mail.key: KnownTemplate("email", compile_template(mail.variants, "email").offers_unsubscribe) for mail in entry.mails}
    known = Known(templates=templates, pools={"sales"}, journeys=set(), purposes={"marketing"}, score_groups={"engagement"})
    catalogue = Catalogue.built_in().with_fields(*entry.fields).with_events(*entry.events)
    found = check(entry.journey(), Palette.built_in(), catalogue, known)
    # Opens are a hint and not a fact; the welcome journey says so and asks for clicks as well.
    assert [issue.message for issue in found if issue.code != "rule.opens_uncertain"] == []


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_a_journey_stands_in_its_pretty_form(entry: TemplateEntry) -> None:
    journey = entry.journey()
    assert journey.model_dump(mode="json", by_alias=True, exclude_unset=True) == dict(entry.document)
    assert journey.ui["positions"].keys() == journey.nodes.keys()
    assert pretty(journey).endswith("}\n")


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_every_mail_is_used_and_every_used_one_is_there(entry: TemplateEntry) -> None:
    used = {node["template"] for node in entry.document["nodes"].values() if "template" in node}
    assert used == {mail.key for mail in entry.mails}


@pytest.mark.parametrize(("entry", "scenario"), list(scenarios()))
def test_a_scenario_goes_as_it_says(entry: TemplateEntry, scenario: Scenario) -> None:
    program = compile_journey(entry.journey(), Palette.built_in())
    path = simulate(program, Script.model_validate(scenario.script))
    assert path.entered
    assert path.outlets() == list(scenario.expect)
    assert path.ended == scenario.ends


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_the_scenarios_pass_every_node(entry: TemplateEntry) -> None:
    passed = {node for scenario in entry.scenarios for node, _ in scenario.expect}
    exits = {node_id for node_id, node in entry.document["nodes"].items() if node["kind"] == "exit"}
    assert passed | exits == entry.document["nodes"].keys()


@pytest.mark.parametrize("mail", mails())
def test_a_mail_is_written_in_german_and_english(mail: Mail) -> None:
    assert set(mail.variants) == {"de", "en"}
    assert compile_template(mail.variants, "email", message_class="marketing").warnings == ()


@pytest.mark.parametrize(("mail", "language"), list(variants()))
def test_a_mail_renders_with_all_that_the_law_asks_for(mail: Mail, language: str) -> None:
    rendered = render(compile_template(mail.variants, "email"), [language], VALUES)
    for part in (rendered.html, rendered.text):
        assert "https://crm.example.com/u/token" in part
        assert "Musterweg 1, 3000 Bern" in part
        assert "Ada" in part
    assert rendered.subject
    assert len(rendered.subject) <= 60
    assert "https://crm.example.com/p/token" in rendered.html
    assert not re.search(r"\{\{|\{%|None|undefined", rendered.html)


@pytest.mark.parametrize(("mail", "language"), list(variants()))
def test_a_mail_renders_for_somebody_we_know_nothing_about(mail: Mail, language: str) -> None:
    nothing = VALUES | {"contact": {"first_name": None}, "trigger": {}, "sender": {"address": "Musterweg 1, 3000 Bern"}}
    rendered = render(compile_template(mail.variants, "email"), [language], nothing)
    greeting = {"de": "Guten Tag,", "en": "Hello,"}[language]
    assert greeting in rendered.text
    assert "None" not in rendered.text
