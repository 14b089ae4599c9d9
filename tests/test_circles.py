"""The graph of imports has no circle, and no import hides in a function to make one look open."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_house import ROOMS, ROOT

OURS = (*ROOMS, "cli", "worker", "settings")
HEAVY = "a command or a part of the server loads only what it needs: starting takes its time"
LATER: dict[str, str] = {
    **dict.fromkeys(("cli", "worker", "settings"), HEAVY),
    **dict.fromkeys((f"commands.{name}" for name in (
        "ahead", "api_main", "backup", "demo", "dev", "doctor", "providers", "recover", "simulate", "start", "tracing", "worker_main", "workspace"
    )), HEAVY),
}  # fmt: skip
"""Module -> why it imports one of ours inside a function."""


@dataclass(frozen=True)
class Import:
    what: str
    inside: bool
    """In a function: when it is called."""


def modules(root: Path = ROOT) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for top in OURS:
        for path in [root / f"{top}.py"] if (root / f"{top}.py").exists() else sorted((root / top).rglob("*.py")):
            found[".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imports(tree: ast.AST, known: set[str], inside: bool = False) -> Iterator[Import]:
    """What a module needs to run: what is for types only is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from imports(ast.Module(node.orelse, []), known, inside)
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [name if (name := f"{node.module}.{alias.name}") in known else str(node.module) for alias in node.names]
        yield from (Import(name, inside) for name in names if name in known)
        yield from imports(node, known, inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def graph(root: Path = ROOT) -> dict[str, set[Import]]:
    files = modules(root)
    return {name: set(imports(ast.parse(path.read_text()), set(files))) for name, path in files.items()}


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules each of which leads to each other (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for other in sorted(arrows[module]):
            if other not in number:
                visit(other)
            if other in path:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            at = path.index(module)
            together = set(path[at:])
            del path[at:]
            if len(together) > 1:
                found.append(together)

    for module in arrows:
        if module not in number:
            visit(module)
    return found


def arrows_of(graph: dict[str, set[Import]]) -> dict[str, set[str]]:
    return {name: {one.what for one in found} for name, found in graph.items()}


def hiding(graph: dict[str, set[Import]]) -> set[str]:
    return {name for name, found in graph.items() if any(one.inside for one in found)}


@pytest.fixture(scope="module")
def product() -> dict[str, set[Import]]:
    return graph()


def test_no_modules_import_each_other_in_a_circle(product: dict[str, set[Import]]) -> None:
    assert circles(arrows_of(product)) == []


def test_imports_inside_functions_are_listed_with_their_reason(product: dict[str, set[Import]]) -> None:
    assert hiding(product) == set(LATER)
    assert not [name for name in LATER if name.startswith(("engine", "journeys", "crm", "activities", "storage", "workspace", "models"))]


def test_routing_alone_begins_runs_so_that_nobody_forgets_what_they_set_off(product: dict[str, set[Import]]) -> None:
    """Whoever calls `enrol` or `walk` has to do what comes of it; others call `enter`, `route` or `step`, which do."""
    arrows = arrows_of(product)
    assert [name for name, to in arrows.items() if "engine.runs.walk" in to] == ["engine.enrolment.enrol", "engine.runs.step"]
    users = [name for name, to in arrows.items() if "engine.enrolment.enrol" in to]
    assert users == ["engine.enrolment.routing", "engine.enrolment.schedules"]
    assert "enrol(" not in (ROOT / "engine/enrolment/schedules.py").read_text(), "it records refusals only"


def test_a_circle_is_seen_wherever_it_hides(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.mkdir()
    (engine / "one.py").write_text("from engine import two\n")
    (engine / "two.py").write_text("def go():\n    from engine.three import x\n")
    (engine / "three.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import engine.two\nx = 1\n")
    assert circles(arrows_of(graph(tmp_path))) == []
    assert hiding(graph(tmp_path)) == {"engine.two"}
    (engine / "three.py").write_text("import engine.one\nx = 1\n")
    assert circles(arrows_of(graph(tmp_path))) == [{"engine.one", "engine.two", "engine.three"}]
