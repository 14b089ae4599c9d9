"""What every axis of growth must hold: a thing is one file and one line in a list, and no other file names it.

`namings` finds files that do; `Tree` is a copy of the product to which a thing of the test is added as the recipe of CONTRIBUTING says.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ("activities", "api", "builder_ui", "commands", "crm", "engine", "journeys", "models", "reports", "storage", "workspace")


def sources(*without: str) -> dict[str, ast.Module]:
    """File -> its syntax, of the product but for some folders and files."""
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    names = {str(file.relative_to(ROOT)): file for file in [*files, *ROOT.glob("*.py")]}
    return {name: ast.parse(file.read_text("utf-8")) for name, file in sorted(names.items()) if not name.startswith(without)}


@dataclass(frozen=True, slots=True)
class Axis:
    """`classes` of the things, their `kinds` as stored, and what a value that holds a kind is called (a pattern on its source)."""

    classes: Collection[str]
    kinds: Collection[str]
    subject: str

    def namings(self, tree: ast.Module) -> list[str]:
        """Where a file names a thing: by its class, by asking for its kind, or in a list that is one of kinds."""
        return [f"{node.lineno}: {ast.unparse(node)[:80]}" for node in ast.walk(tree) if isinstance(node, ast.expr) and self._names(node)]

    def _names(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name | ast.Attribute):
            return (node.id if isinstance(node, ast.Name) else node.attr) in self.classes
        if isinstance(node, ast.Compare):
            return self._asks(node.left, node.comparators) or any(self._asks(one, [node.left]) for one in node.comparators)
        return self._lists(node)

    def _asks(self, subject: ast.expr, others: list[ast.expr]) -> bool:
        texts = {text for other in others for text in _texts(other)}
        return bool(texts.intersection(self.kinds)) and re.search(self.subject, ast.unparse(subject)) is not None

    def _lists(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            return False
        texts = [one.value for one in (node.keys if isinstance(node, ast.Dict) else node.elts) if _is_text(one)]
        known = len({text for text in texts if text in self.kinds})
        return known > 3 or (known > 1 and known * 4 >= len(texts) * 3)


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _texts(node: ast.expr) -> Iterator[str]:
    yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def matched(tree: ast.Module, axis: Axis) -> list[str]:
    """`match` statements that ask for a thing by its class or its kind."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name) and node.cls.id in axis.classes:
            found.append(f"{node.lineno}: case {node.cls.id}")
        if isinstance(node, ast.Match) and re.search(axis.subject, ast.unparse(node.subject)):
            found += [f"{one.lineno}: case {one.value}" for one in ast.walk(node) if _is_text(one) and one.value in axis.kinds]
    return found


def named(axis: Axis, *without: str) -> dict[str, list[str]]:
    """File -> the places where it names a thing of the axis."""
    found = {file: [*axis.namings(tree), *matched(tree, axis)] for file, tree in sources(*without).items()}
    return {file: places for file, places in found.items() if places}


@dataclass(frozen=True, slots=True)
class Tree:
    """The product in another folder: some rooms are copies that may be written to, the rest are links."""

    folder: Path

    @staticmethod
    def of(folder: Path, *copied: str) -> Tree:
        for one in ROOT.iterdir():
            if one.name in copied:
                shutil.copytree(one, folder / one.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif not one.name.startswith("."):
                (folder / one.name).symlink_to(one)
        return Tree(folder)

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text, "utf-8")

    def edit(self, file: str, edits: Mapping[str, str]) -> None:
        """Puts text in place of what stands in a file exactly once."""
        text = (self.folder / file).read_text("utf-8")
        for old, new in edits.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.write(file, text)

    def ask(self, script: Path) -> Any:
        """The JSON that a script prints that runs in this product."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        told = subprocess.run([sys.executable, script], cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)
