"""Where Jinja runs: templates read plain values, and can neither act, nor grow without bound, nor run without end.

Attributes are looked up in mappings first (`cart.items` is the key, not the method) and otherwise only by the lists below.
Loops, filters, tests, comparisons and calls go through a budget (`budget`). What is missing can be asked about (`if`, `default`) but not printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from jinja2 import TemplateSyntaxError, nodes, pass_context
from jinja2.environment import Template
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from activities.rendering import rules
from activities.rendering.budget import CHARACTERS, MAX_ITERATIONS, MAX_NAME, MAX_OUTPUT, bounded, charged, counted, state, weigh
from activities.rendering.faults import RenderFailed

MAX_NUMBER = 10**15
"""Of what is added and multiplied."""
_AT_A_TIME = 64
"""Pieces that are joined before their size is looked at."""
NODES_PER_UNIT = 4
"""So many parts of a loop's body, or so many times `CHARACTERS` of its text, cost a unit of work each turn."""
TAGS: Mapping[type[nodes.Node], str] = {
    nodes.Macro: "macro", nodes.CallBlock: "call", nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "from",
    nodes.Extends: "extends", nodes.Block: "block", nodes.AssignBlock: "set … endset", nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip
"""Tags that are not available: they would load other texts, recurse or grow."""

READABLE: tuple[tuple[type, frozenset[str]], ...] = (
    (str, frozenset({"upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "split"})),
    (Mapping, frozenset({"items", "keys", "values", "get"})),
    (date, frozenset({"year", "month", "day", "hour", "minute", "weekday", "isoformat", "date"})),
    (LoopContext, frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "cycle", "previtem", "nextitem"})),
)
_NUMBERS = (int, float, Decimal)
PRINTABLE = (str, Markup, int, float, Decimal, date, datetime, Undefined)


class Missing(Undefined):
    """A value that is not there: false in `if`, equal to nothing, an error when printed or looped over."""

    __slots__ = ()

    __iter__ = __str__ = __len__ = __contains__ = Undefined._fail_with_undefined_error


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates; `autoescape` for HTML, without for subjects and texts."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, *, autoescape: bool, filters: Mapping[str, Any]) -> None:
        super().__init__(autoescape=autoescape, undefined=Missing, finalize=printable, cache_size=0, keep_trailing_newline=True)
        guards: dict[str, Any] = {"_each": _each, "_concat": _concat, "_weighed": _weighed}
        self.filters = {name: charged(name, function) for name, function in {**filters, **guards}.items()}
        tests: dict[str, Any] = self.tests
        self.tests = {name: charged(name, function) for name, function in tests.items()}
        self.globals = {"range": _range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._look(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (Mapping, list, tuple, str)):
            weigh(argument)
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
        for missing in (one for one in (left, right) if isinstance(one, Undefined)):
            str(missing)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            weigh((left, right))
            return bounded(left + right)
        if operator == "**" or not isinstance(left, _NUMBERS) or not isinstance(right, _NUMBERS):
            raise RenderFailed("wrong_value", operator)
        bounded(left)
        bounded(right)
        answer = super().call_binop(context, operator, left, right)
        return _small(answer) if operator in ("+", "*") else answer

    def call(self, context: Context, called: Any, /, *args: Any, **options: Any) -> Any:
        owner = getattr(called, "__self__", None)
        text = owner if isinstance(owner, str) else ""
        weigh((text, args, options))
        if text and any(isinstance(one, str) and len(one) > MAX_NAME for one in args):
            raise RenderFailed("too_long", "text")
        return bounded(super().call(context, called, *args, **options))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        guarded: nodes.Template = _Guards(self).visit(tree)
        return guarded

    def _generate(self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False) -> str:
        """Also of texts that were never saved as a template, nothing is compiled that could recurse."""
        for node in source.find_all(nodes.Node):
            tag = "recursive" if isinstance(node, nodes.For) and node.recursive else TAGS.get(type(node))
            if tag:
                raise TemplateSyntaxError(f"{tag} is not available in templates", node.lineno)
        rules.keyed(source)
        return super()._generate(source, name, filename, defer_init)


class _Guards(NodeTransformer):
    """Sends loops, `~`, comparisons, slices and keys through the budget; all are otherwise out of a sandbox's reach."""

    def __init__(self, environment: Sandbox) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.For:
        size = sum(1 + len(getattr(part, "data", "")) // CHARACTERS for part in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = self._filter(node.iter, "_each", nodes.Const(1 + size // NODES_PER_UNIT, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return self._filter(nodes.List(node.nodes, lineno=node.lineno), "_concat")

    def visit_Call(self, node: nodes.Call) -> nodes.Call:
        """What a rule writes out is looked up by its key, and weighs nothing."""
        if not (isinstance(node.node, nodes.Name) and node.node.name == rules.RULE and rules.data_of(node) is not None):
            self.generic_visit(node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = self._filter(node.expr, "_weighed")
        for operand in node.ops:
            operand.expr = self._filter(operand.expr, "_weighed")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Getitem:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self._filter(node.node, "_weighed")
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Pair:
        self.generic_visit(node)
        node.key = self._filter(node.key, "_weighed")
        return node

    def _filter(self, node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
        guard = nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)
        guard.set_environment(self._environment)
        return guard


def printable(value: Any) -> Any:
    """What `{{ }}` may print: text, numbers, dates; None prints nothing, lists and objects are a mistake."""
    if value is None:
        return ""
    if isinstance(value, str):
        current = state.get(None)  # None: Jinja prints constants while it compiles
        if current is not None:
            current.print(len(value))
        return value
    if isinstance(value, PRINTABLE):
        return bounded(value)
    raise RenderFailed("wrong_value", type(value).__name__)


def plain_text(value: Any) -> str:
    """`value` as `{{ }}` would print it. Raises `RenderFailed` for what cannot be printed."""
    return str(printable(value))


def generate(template: Template, values: Mapping[str, Any]) -> str:
    """The rendered text, cut short by an exception at `MAX_OUTPUT` characters."""
    texts: list[str] = []
    size = 0
    context = template.new_context({**template.environment.globals, **values}, shared=True)  # else Jinja copies both again, name by name
    stream = template.root_render_func(context)
    while text := "".join(islice(stream, _AT_A_TIME)):
        texts.append(text)
        size += len(text)
        if size > MAX_OUTPUT:
            raise RenderFailed("too_long", "output")
    return "".join(texts)


@pass_context
def _each(_context: Context, items: Any, units: int) -> Iterable[Any]:
    """What a `for` runs over, counted; each turn is `units` of work."""
    current = state.get()

    def turn(turns: int) -> None:
        current.spend(turns)
        current.toil(turns * units)

    if isinstance(items, (list, tuple, dict, str, range)):
        turn(len(items))
        return items
    return counted(items, turn)


@pass_context
def _weighed(_context: Context, value: Any) -> Any:
    """What is compared, cut or used as a key."""
    weigh(value)
    return value


@pass_context
def _concat(context: Context, items: list[Any]) -> str:
    """The operator `~`, bounded; escapes like the text around it."""
    weigh(items)
    joined = Markup("").join(map(_text, items)) if context.eval_ctx.autoescape else "".join(map(plain_text, items))
    bounded(joined)
    return joined


def _text(item: Any) -> Any:
    return item if isinstance(item, Markup) else plain_text(item)


@pass_context
def _range(_context: Context, *bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITERATIONS:
        raise RenderFailed("too_long", "range")
    return numbers


def _small(number: Any) -> Any:
    if abs(number) > MAX_NUMBER:
        raise RenderFailed("wrong_value", "number")
    return number
