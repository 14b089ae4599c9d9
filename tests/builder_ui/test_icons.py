"""Every icon that the product names is drawn: one that nobody drew would be a circle, and nobody would notice."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder_ui.app.host import MENU
from builder_ui.contacts.timeline import lines
from builder_ui.kit import components, run_timeline
from builder_ui.kit.components import ICONS

ROOT = Path(__file__).parents[2]
ROOMS = ("activities", "api", "builder_ui", "engine", "examples", "journeys")
TONES = frozenset({"good", "bad", "warn", "quiet", "info", "main", "danger"})
PLACES = {
    name: (list(inspect.signature(made).parameters).index(symbol), symbol)
    for module in (components, run_timeline)
    for name, made in vars(module).items()
    if inspect.isfunction(made)
    for symbol in ("symbol", "icon")
    if symbol in inspect.signature(made).parameters
} | {"icon": (0, "name")}
"""Function -> which of its arguments is an icon, and what that is called."""


def texts(node: ast.expr | None) -> Iterator[str]:
    """What an expression may be, as far as it is written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))


def of_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    place, keyword = PLACES.get(name, (len(call.args), "icon"))
    yield from texts(call.args[place] if place < len(call.args) else None)
    yield from (text for one in call.keywords if one.arg in (keyword, "icon") for text in texts(one.value))


def of_state(node: ast.Tuple) -> Iterator[str]:
    """(text, tone, symbol), as tables of states have them."""
    parts = [next(texts(one), None) for one in node.elts]
    if len(parts) == 3 and None not in parts and parts[1] in TONES:
        yield str(parts[2])


def named(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from of_call(node)
        elif isinstance(node, ast.Tuple):
            yield from of_state(node)
        elif isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["icon"]:
            yield from texts(node.value)
        elif isinstance(node, ast.arguments):
            found = zip([*node.args, *node.kwonlyargs][::-1], [*node.defaults, *node.kw_defaults][::-1], strict=False)
            yield from (text for one, default in found if one.arg == "icon" for text in texts(default))
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "icon":
            yield from texts(node.value)


def in_python() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield from ((str(path.relative_to(ROOT)), name) for name in named(path.read_text()))


def in_browser() -> Iterator[tuple[str, str]]:
    """`<Icon name="x">` of the canvas, `icons['x']` of the pages' shells."""
    for path in (*(ROOT / "builder_ui/frontend/src").rglob("*.jsx"), *(ROOT / "builder_ui/shells").glob("*.html")):
        for found in re.findall(r"""<Icon name="([^"]+)"|icons\['([^']+)'\]""", path.read_text()):
            yield str(path.relative_to(ROOT)), "".join(found)


def test_every_icon_is_drawn() -> None:
    python, browser = list(in_python()), list(in_browser())
    assert len(python) > 150
    assert len(browser) >= 7
    tables = [("the menu", symbol) for _, _, _, symbol in MENU] + [("the timeline", name) for name in lines.ICONS.values()]
    assert [(place, name) for place, name in (*python, *browser, *tables) if name not in ICONS] == []


@pytest.mark.parametrize(
    "source",
    [
        'components.icon("x")',
        'components.button("Go", go, "x")',
        'components.ask(a, b, c, d, symbol="y" if good else "x")',
        'def activity(name: str, *, icon: str = "x", fake: bool = False) -> None: ...',
        'Recipe(icon="x")',
        'class Wait(Node):\n    icon = "x"',
        'class Wait(Node):\n    icon: str = "x"',
        'STATES = {"open": ("Open", "quiet", "x")}',
    ],
)
def test_an_icon_is_found_wherever_it_is_named(source: str) -> None:
    assert "x" in set(named(source))
