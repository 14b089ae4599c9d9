"""Where Jinja runs: templates read plain values, and can neither act, nor grow without bound, nor run without end.

Attributes are looked up in mappings first (`cart.items` is the key, not the method) and otherwise only by the lists below.
Loops, joins and sums go through budgets. What is missing can be asked about (`if`, `default`) but not printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.environment import Template
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from activities.rendering.faults import RenderFailed

MAX_ITERATIONS = 10_000
"""Turns of all loops of one rendering together."""
MAX_TEXT = 200_000
"""Characters of one joined text."""
MAX_OUTPUT = 1_000_000
"""Characters of one rendered message."""
MAX_NUMBER = 10**15

READABLE: tuple[tuple[type, frozenset[str]], ...] = (
    (str, frozenset({"upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "split"})),
    (Mapping, frozenset({"items", "keys", "values", "get"})),
    (date, frozenset({"year", "month", "day", "hour", "minute", "weekday", "isoformat", "date"})),
    (LoopContext, frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "cycle", "previtem", "nextitem"})),
)
PRINTABLE = (str, Markup, int, float, Decimal, date, datetime, Undefined)


@dataclass(slots=True)
class State:
    """One rendering: whose language, what is left of the budget, what was linked to."""

    locale: str = "en"
    zone: str = "UTC"
    iterations: int = MAX_ITERATIONS
    click: Any = None
    own: frozenset[str] = frozenset()
    links: dict[str, str] = field(default_factory=dict)

    def spend(self, turns: int) -> None:
        self.iterations -= turns
        if self.iterations < 0:
            raise RenderFailed("too_long", "loop")


state: ContextVar[State] = ContextVar("rendering")


class Missing(Undefined):
    """A value that is not there: false in `if`, equal to nothing, an error when printed or looped over."""

    __slots__ = ()

    __iter__ = __str__ = __len__ = __contains__ = Undefined._fail_with_undefined_error


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates; `autoescape` for HTML, without for subjects and texts."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, autoescape: bool, filters: Mapping[str, Any]) -> None:
        super().__init__(autoescape=autoescape, undefined=Missing, finalize=printable, cache_size=0, keep_trailing_newline=True)
        self.filters = {**filters, "_each": _each, "_concat": _concat}
        self.globals = {"range": _range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._look(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (Mapping, list, tuple, str)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self._look(obj, argument) if isinstance(argument, str) else self.undefined(obj=obj, name=argument)

    def _look(self, obj: Any, name: str) -> Any:
        if isinstance(obj, Undefined):
            return obj  # the first missing name of a chain is the one to report
        if isinstance(obj, Mapping) and name in obj:
            return obj[name]
        if any(isinstance(obj, kind) and name in names for kind, names in READABLE):
            return getattr(obj, name)
        return self.undefined(obj=obj, name=name)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded(left + right)
        if operator in ("+", "*") and isinstance(left, (int, float, Decimal)) and isinstance(right, (int, float, Decimal)):
            return _small(super().call_binop(context, operator, left, right))
        if operator == "%" and isinstance(left, (int, float, Decimal)) and isinstance(right, (int, float, Decimal)):
            return super().call_binop(context, operator, left, right)
        raise RenderFailed("wrong_value", operator)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        guarded: nodes.Template = _Guards(self).visit(tree)
        return guarded


class _Guards(NodeTransformer):
    """Sends loops and `~` through the budgets; both are otherwise out of a sandbox's reach."""

    def __init__(self, environment: Sandbox) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = self._filter(node.iter, "_each")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return self._filter(nodes.List(node.nodes, lineno=node.lineno), "_concat")

    def _filter(self, node: Any, name: str) -> nodes.Filter:
        guard = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        guard.set_environment(self._environment)
        return guard


def printable(value: Any) -> Any:
    """What `{{ }}` may print: text, numbers, dates; None prints nothing, lists and objects are a mistake."""
    if value is None:
        return ""
    if isinstance(value, PRINTABLE):
        return value
    raise RenderFailed("wrong_value", type(value).__name__)


def plain_text(value: Any) -> str:
    """`value` as `{{ }}` would print it. Raises `RenderFailed` for what cannot be printed."""
    return str(printable(value))


def generate(template: Template, values: Mapping[str, Any]) -> str:
    """The rendered text, cut short by an exception at `MAX_OUTPUT` characters."""
    parts: list[str] = []
    size = 0
    for part in template.generate(values):
        parts.append(part)
        size += len(part)
        if size > MAX_OUTPUT:
            raise RenderFailed("too_long", "output")
    return "".join(parts)


@pass_context
def _each(_context: Context, items: Any) -> Iterable[Any]:
    """What a `for` runs over, counted."""
    if isinstance(items, (list, tuple, dict, str, range)):
        state.get().spend(len(items))
        return items
    return _counted(items)


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    spend = state.get().spend
    for item in items:
        spend(1)
        yield item


@pass_context
def _concat(context: Context, items: list[Any]) -> str:
    """The operator `~`, bounded; escapes like the text around it."""
    if context.eval_ctx.autoescape:
        return Markup(_bounded(Markup("").join(_text(item) for item in items)))
    return _bounded("".join(plain_text(item) for item in items))


def _text(item: Any) -> Any:
    return item if isinstance(item, Markup) else plain_text(item)


@pass_context
def _range(_context: Context, *bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITERATIONS:
        raise RenderFailed("too_long", "range")
    return numbers


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise RenderFailed("too_long", "text")
    return text


def _small(number: Any) -> Any:
    if abs(number) > MAX_NUMBER:
        raise RenderFailed("wrong_value", "number")
    return number
