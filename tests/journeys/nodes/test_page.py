from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from journeys.nodes import BUILT_IN, Node, Palette
from journeys.nodes.page import nodes_page

PAGE = Path(__file__).parents[3] / "docs" / "nodes.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == nodes_page(Palette.built_in()), "run `make docs`"


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_every_kind_explains_itself(kind: type[Node]) -> None:
    assert (inspect.getdoc(kind) or "").endswith(".")
    assert kind.label
    assert kind.__doc__ != Node.__doc__
    untitled = [name for name, field in kind.form()["properties"].items() if not field.get("title")]
    assert untitled == []


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_every_kind_has_an_example_that_is_a_step(kind: type[Node]) -> None:
    node = Palette.built_in().parse("a", {"kind": kind.kind, **kind.example})
    assert isinstance(node, Node)
    assert list(node.problems("a")) == []
