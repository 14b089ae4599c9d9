"""What stands in the documentation works."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine.interpreter.simulate import Script, simulate
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.custom import CustomActivity
from journeys.document import Entry, Exit, Goal, Journey, Settings
from journeys.nodes import Node, Palette
from journeys.reading import read
from locales import texts

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def example() -> Journey:
    return read(blocks("journeys.md", "json")[0])


def test_the_example_document_has_no_issues(example: Journey) -> None:
    assert [issue.message for issue in check(example, Palette.built_in(), Catalogue.built_in())] == []


def test_the_example_scenario_can_be_simulated(example: Journey) -> None:
    scenario: dict[str, Any] = json.loads(blocks("journeys.md", "json")[1])
    expected, ends = [(step["node"], step["outlet"]) for step in scenario.pop("expect")], scenario.pop("ends")
    del scenario["name"]
    path = simulate(compile_journey(example, Palette.built_in()), Script.model_validate(scenario))
    assert path.outlets()[: len(expected)] == expected
    assert path.ended == ends


@pytest.mark.parametrize("part", [Journey, Entry, Exit, Goal, Settings], ids=lambda part: part.__name__)
def test_every_field_of_the_document_is_explained(part: Any) -> None:
    page = (DOCS / "journeys.md").read_text("utf-8")
    assert [name for name in part.model_fields if f"`{name}`" not in page] == []


def test_every_field_of_a_script_is_explained() -> None:
    page = (DOCS / "journeys.md").read_text("utf-8")
    assert [name for name in Script.model_fields if f"`{name}`" not in page] == []


def test_the_custom_activity_of_the_page_works() -> None:
    defined: dict[str, Any] = {"__name__": "custom_activities_page"}
    for block in blocks("custom-activities.md", "python"):
        exec(compile(block, "docs/custom-activities.md", "exec", dont_inherit=True), defined)
    voucher = defined["create_voucher"]
    assert isinstance(voucher, CustomActivity)
    palette = Palette.built_in().with_kinds(voucher.node)
    assert isinstance(palette.parse("a", {"kind": "custom.voucher", "input": {"amount": 10}}), Node)


def test_the_entry_point_of_the_page_is_that_of_the_example() -> None:
    shown = tomllib.loads(blocks("custom-activities.md", "toml")[0])
    example = tomllib.loads((DOCS.parent / "examples" / "pfadwerk_loyalty" / "pyproject.toml").read_text("utf-8"))
    assert shown["project"]["entry-points"] == example["project"]["entry-points"]


def test_the_page_of_all_texts_is_that_of_the_catalogue() -> None:
    assert (DOCS / "texts.md").read_text("utf-8") == texts.page(), "run `make docs`"
    assert all(german for german in texts.texts().values())
