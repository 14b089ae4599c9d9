"""The page about rules tells the truth: its examples parse, and it names every operator, key and limit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from journeys.rules import MAX_DEPTH, MAX_TERMS, Group, Term, parse_rule, sentence
from journeys.rules.docs import with_table
from journeys.rules.fields import CONTACT_COLUMNS
from journeys.rules.model import MAX_VALUES
from journeys.rules.terms import TERMS
from journeys.rules.types import MAX_LIST, MAX_TEXT, Operator

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_rules(example: str) -> None:
    assert sentence(parse_rule(json.loads(example)), str)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("operator", get_args(Operator))
def test_every_operator_is_explained(operator: str) -> None:
    assert re.search(rf"^\|[^|]*`{re.escape(operator)}`", PAGE, re.MULTILINE)


def test_the_table_is_of_today() -> None:
    assert with_table(PAGE, TERMS) == PAGE, "run `make docs`"


@pytest.mark.parametrize("term", [*TERMS, Group])
def test_every_key_is_named(term: type[Group | Term]) -> None:
    for name, field in term.model_fields.items():
        if not field.exclude:
            assert f"`{field.alias or name}`" in PAGE, f"`{name}`: run `make docs`, or explain the key in docs/rules.md"


def test_columns_and_limits_are_named() -> None:
    assert all(f"`{name}`" in PAGE for name in CONTACT_COLUMNS)
    assert f"at most {MAX_TERMS} terms and is at most {MAX_DEPTH} levels" in PAGE
    assert f"together have at most {MAX_VALUES} values" in PAGE
    assert f"at most {MAX_LIST} values, a text at most {MAX_TEXT} characters" in PAGE
