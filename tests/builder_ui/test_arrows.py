"""How the pages' modules hang together: no circle, also none that an import inside a function hides; and the builder knows no page."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in (ROOT / "builder_ui").rglob("*.py")
}


def imports(source: str, modules: frozenset[str]) -> set[str]:
    """The modules that a source imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{one.name}" for one in node.names}
            found |= names & modules or {node.module} & modules
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names} & modules
    return found


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    return {name: imports(source, frozenset(sources)) for name, source in sources.items()}


def test_no_circle() -> None:
    found = graph({name: path.read_text() for name, path in MODULES.items()})
    assert sum(map(len, found.values())) > 300
    list(TopologicalSorter(found).static_order())


def test_a_hidden_circle_is_found() -> None:
    sources = {"a.one": "from a import two", "a.two": "def f():\n    from a.one import x"}
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph(sources)).static_order())


def test_the_builder_imports_no_page() -> None:
    """Pages lie in the folders beside it; what both need is in the kit."""
    below = ("builder_ui.builder", "builder_ui.kit", "builder_ui.app")
    found = graph({name: path.read_text() for name, path in MODULES.items()})
    builder = {name: used for name, used in found.items() if name.startswith("builder_ui.builder")}
    assert len(builder) > 30
    assert {(name, one) for name, used in builder.items() for one in used if not one.startswith(below)} == set()
