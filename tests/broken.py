"""Copies of a module with one rule broken each: a table of cases that is any good tells every one of them from the original."""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip
OTHER = {"max": "min", "min": "max"}
PATIENCE = 20_000
"""Rounds of loops after which a broken copy is taken for one that never ends."""


class NeverEnds(Exception):
    pass


def broken(file: Path, names: Collection[str] | None = None) -> Iterator[tuple[str, ast.Module]]:
    """(what was done, the module) for each single change to a decision in the functions and constants called `names` (None: in all)."""
    original = whole(file)
    for path, node in _decisions(original, names):
        place = path[0][1]
        assert place is not None, "a module is a list of statements"
        for what, change in _changes(node):
            statements = list(original.body)  # all but one are shared: a copy of everything took longer than most tables
            statements[place] = copy.deepcopy(statements[place])
            module = ast.Module(statements, [])
            change(_at(module, path))
            ast.fix_missing_locations(statements[place])
            yield f"{file.name}:{getattr(node, 'lineno', '?')} {what}", module


def whole(file: Path) -> ast.Module:
    """The module as it is, except that its loops end, with `NeverEnds` if need be."""
    module = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.For | ast.While):
            node.body.insert(0, ast.parse("_tick()").body[0])
    return ast.fix_missing_locations(module)


def load(module: ast.Module, name: str, **given: Any) -> dict[str, Any]:
    """The names of a module made from one of these trees; `given` take the place of what it imports."""
    names = _run(module, {"__name__": name})
    names.update(given)
    return names


def copies(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """(what was done, the function) for each single change to a decision in it; all else of its module is as it is."""
    module, name = sys.modules[function.__module__], function.__name__
    for what, tree in broken(Path(module.__file__ or ""), (name,)):
        tree.body = [node for node in tree.body if getattr(node, "name", "") == name or getattr(node, "module", "") == "__future__"]
        yield what, _run(tree, dict(vars(module)))[name]


def _run(module: ast.Module, names: dict[str, Any]) -> dict[str, Any]:
    rounds = 0

    def tick() -> None:
        nonlocal rounds
        rounds += 1
        if rounds > PATIENCE:
            raise NeverEnds

    names["_tick"] = tick
    exec(compile(module, f"broken {names['__name__']}", "exec"), names)
    return names


Place = tuple[tuple[str, int | None], ...]


def _decisions(tree: ast.AST, names: Collection[str] | None) -> Iterator[tuple[Place, ast.AST]]:
    def walk(node: ast.AST, path: Place, inside: bool) -> Iterator[tuple[Place, ast.AST]]:
        inside = inside or (isinstance(node, ast.FunctionDef | ast.Assign) and (names is None or _name_of(node) in names))
        if inside and not isinstance(node, ast.FunctionDef):
            yield path, node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list"):
                continue
            if isinstance(value, ast.AST):
                yield from walk(value, (*path, (field, None)), inside)
            elif isinstance(value, list):
                for place, one in enumerate(value):
                    if isinstance(one, ast.AST):
                        yield from walk(one, (*path, (field, place)), inside)

    return walk(tree, (), False)


def _name_of(node: ast.FunctionDef | ast.Assign) -> str:
    return node.name if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])


def _at(tree: ast.AST, path: Place) -> Any:
    for field, place in path:
        found = getattr(tree, field)
        tree = found if place is None else found[place]
    return tree


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    said = ast.unparse(node)[:90] if isinstance(node, ast.expr) else ""
    if isinstance(node, ast.If | ast.IfExp) or (isinstance(node, ast.While) and not isinstance(node.test, ast.Constant)):
        for value in (True, False):
            yield f"if {ast.unparse(node.test)[:80]} -> {value}", _sets("test", ast.Constant(value))
    if isinstance(node, ast.comprehension):
        for place in range(len(node.ifs)):
            yield f"for … if {ast.unparse(node.ifs[place])} -> gone", _drops("ifs", place)
    if isinstance(node, ast.BoolOp):
        for place in range(len(node.values)):
            yield f"{said}: without {ast.unparse(node.values[place])}", _puts("values", place, ast.Constant(isinstance(node.op, ast.And)))
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in SWAPPED:
                yield f"{said}: {SWAPPED[type(operator)].__name__}", _puts("ops", place, SWAPPED[type(operator)]())
    if isinstance(node, ast.Tuple) and len(node.elts) > 1 and all(isinstance(one, ast.Constant) for one in node.elts):
        for place, one in enumerate(node.elts):
            yield f"{said}: without {ast.unparse(one)}", _drops("elts", place)
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield f"{said}: {SWAPPED[type(node.op)].__name__}", _sets("op", SWAPPED[type(node.op)]())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OTHER:
        yield f"{said}: {OTHER[node.func.id]}", _sets("func", ast.Name(OTHER[node.func.id], ast.Load()))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "where":
        for place, condition in enumerate(node.args):
            yield f"where without {ast.unparse(condition)}", _drops("args", place)

    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("order_by", "desc", "join"):
        anything = ast.arguments(posonlyargs=[], args=[], vararg=ast.arg("_"), kwonlyargs=[], kw_defaults=[], defaults=[])
        yield f"without {node.func.attr}", _sets("func", ast.Lambda(anything, node.func.value))


def _sets(field: str, value: ast.AST) -> Any:
    return lambda node: setattr(node, field, value)


def _puts(field: str, place: int, value: ast.AST) -> Any:
    return lambda node: getattr(node, field).__setitem__(place, value)


def _drops(field: str, place: int) -> Any:
    return lambda node: getattr(node, field).pop(place)
