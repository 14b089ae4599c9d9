"""Copies of a function without one of its rules each: a table of cases that is any good tells every one from the original."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any


def without_each_rule(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """(the condition, the function) with each `if` never true, and with each part of an `and` or `or` left out."""
    source = textwrap.dedent(inspect.getsource(function))
    places = range(sum(1 for _ in ast.walk(ast.parse(source))))
    for place in places:
        for part in range(10):
            tree = ast.parse(source)
            node = list(ast.walk(tree))[place]
            text = _take_out(node, part)
            if text is None:
                break
            names = dict(vars(sys.modules[function.__module__]))
            code = compile(ast.fix_missing_locations(tree), "without", "exec", flags=_annotations(), dont_inherit=True)
            exec(code, names)
            yield text, names[function.__name__]


def _take_out(node: ast.AST, part: int) -> str | None:
    """Takes one rule out of a node; None if there is no such part."""
    if isinstance(node, ast.If) and part == 0:
        text = f"if {ast.unparse(node.test)}"
        node.test = ast.Constant(False)
        return text
    if isinstance(node, ast.BoolOp) and part < len(node.values):
        text = f"{ast.unparse(node)}: {ast.unparse(node.values[part])}"
        node.values[part] = ast.Constant(isinstance(node.op, ast.And))
        return text
    return None


def _annotations() -> int:
    import __future__

    return __future__.annotations.compiler_flag
