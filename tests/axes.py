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
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    """`classes` of the things, their `kinds` as stored, and what a value that holds a kind is called (a pattern on its source). Things that
    others build (`built`) may be named to build one, yet nobody may ask which one a value is; a name is theirs if it comes from `home`."""

    classes: Collection[str]
    kinds: Collection[str]
    subject: str
    built: bool = False
    home: str = ""

    def namings(self, tree: ast.Module) -> list[str]:
        """Where a file names a thing: by its class, by asking for its kind, or in a list that is one of kinds."""
        classes = self._classes_in(tree)
        found = [node for node in ast.walk(tree) if isinstance(node, ast.expr | ast.pattern) and self._names(node, classes)]
        found += [case for node in ast.walk(tree) if isinstance(node, ast.Match) for case in self._cases(node)]
        return [f"{node.lineno}: {ast.unparse(node)[:80]}" for node in found]

    def _classes_in(self, tree: ast.Module) -> frozenset[str]:
        """What the classes are called in a file."""
        if not self.home:
            return frozenset(self.classes)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        theirs = {
            (alias.asname or alias.name, alias.name)
            for node in imports
            for alias in node.names
            if (node.module or "").startswith(self.home) or f"{node.module}.{alias.name}" == self.home
        }
        modules = {called for called, name in theirs if f".{name}" == self.home[self.home.rindex(".") :]}
        whole = {f"{module}.{name}" for module in modules for name in self.classes}
        return frozenset({called for called, name in theirs if name in self.classes} | whole)

    def _names(self, node: ast.expr | ast.pattern, classes: frozenset[str]) -> bool:
        if isinstance(node, ast.MatchClass):
            return _is_class(node.cls, classes)
        if isinstance(node, ast.Name | ast.Attribute):
            return not self.built and _is_class(node, classes)
        if isinstance(node, ast.Call):
            return _is_question(node) and any(_is_class(one, classes) for one in ast.walk(node.args[1]))
        if isinstance(node, ast.Compare):
            return self._compares(node, classes)
        return self._lists(node, classes)

    def _compares(self, node: ast.Compare, classes: frozenset[str]) -> bool:
        sides = [node.left, *node.comparators]
        texts = {text for side in sides for text in _texts(side)}
        asked = any(re.search(self.subject, ast.unparse(side)) for side in sides)
        return (asked and not texts.isdisjoint(self.kinds)) or any(_is_class(side, classes) for side in sides)

    def _lists(self, node: ast.AST, classes: frozenset[str]) -> bool:
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.BitOr) and _is_class(node.left, classes) and _is_class(node.right, classes)
        if not isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            return False
        held = node.keys if isinstance(node, ast.Dict) else node.elts
        texts = [one.value for one in held if _is_text(one)]
        known = len({text for text in texts if text in self.kinds})
        return sum(_is_class(one, classes) for one in held) > 1 or known > 3 or (known > 1 and known * 4 >= len(texts) * 3)

    def _cases(self, node: ast.Match) -> Iterator[ast.expr]:
        """The branches of a `match` that ask for a kind."""
        if re.search(self.subject, ast.unparse(node.subject)):
            values = [one.value for one in ast.walk(node) if isinstance(one, ast.MatchValue)]
            yield from (one for one in values if _is_text(one) and one.value in self.kinds)


def _is_class(node: ast.AST | None, classes: Collection[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in classes or ast.unparse(node) in classes
    return isinstance(node, ast.Name) and node.id in classes


def _is_question(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass") and len(node.args) > 1


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _texts(node: ast.expr) -> Iterator[str]:
    yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _assigned(node: ast.stmt) -> str:
    """The name to which a statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return next((target.id for target in targets if isinstance(target, ast.Name)), "")


def unwanted(found: Mapping[str, Iterable[object]], way_out: str) -> str:
    """What a failing test says: each place in a line, and what to do instead."""
    return "\n".join([way_out, *(f"  {file}: {place}" for file, places in found.items() for place in places)])


def named(axis: Axis, *without: str) -> dict[str, list[str]]:
    """File -> the places where it names a thing of the axis."""
    found = {file: axis.namings(tree) for file, tree in sources(*without).items()}
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

    def add(self, file: str, listed: str, new: str, imports: str) -> None:
        """Puts `new` at the end of the tuple `listed` of a file and `imports` before it, whatever the tuple holds."""
        text = (self.folder / file).read_text("utf-8")
        lines = text.splitlines(keepends=True)
        [statement] = [node for node in ast.parse(text).body if _assigned(node) == listed]
        end = statement.end_lineno or 0
        held = "".join(lines[statement.lineno - 1 : end]).rstrip().removesuffix(")").rstrip().removesuffix(",")
        self.write(file, "".join([*lines[: statement.lineno - 1], f"{imports}\n", f"{held}, {new})\n", *lines[end:]]))

    def ask(self, script: Path) -> Any:
        """The JSON that a script prints that runs in this product."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        told = subprocess.run([sys.executable, script], cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)
