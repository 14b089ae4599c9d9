"""Checks the Jinja of a template while it is saved: syntax, allowed tags, known filters and names; tells which fields it reads.

Works on the author's text, so every fault has its place. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.environment import Template

from activities.rendering import filters, rules
from activities.rendering.faults import Fault, Lines, Remark
from activities.rendering.sandbox import TAGS, Sandbox
from activities.rendering.tokens import Swapped
from journeys.contact_rules import Askable

HTML = Sandbox(autoescape=True, filters=filters.ALL)
TEXT = Sandbox(autoescape=False, filters=filters.ALL)

NAMES = frozenset(
    {
        "contact",
        "trigger",
        "run",
        "sender",
        "brand",
        "unsubscribe_url",
        "preferences_url",
        "view_url",
        "confirm_url",
        "now",
        "lang",
        "steps",
    }
)
"""What a template may read."""
COUPON = "coupon"
"""`coupon("POOL")`: a code for this message alone."""
FUNCTIONS = frozenset({COUPON, rules.RULE})
"""What a template may call."""
MAX_LOOP_DEPTH = 3
MAX_ASSIGNMENTS = 100
MAX_PROBLEMS = 100
"""Told at once; each is looked for among all the Jinja of the text."""


@lru_cache(maxsize=1024)
def compiled(source: str, html: bool) -> Template:
    """The runnable template; 4 to 8 ms the first time, then from memory."""
    return (HTML if html else TEXT).from_string(source)


def faults(
    swapped: Swapped, source: str, lines: Lines, pools: Collection[str] | None = None, askable: Askable | None = None
) -> Iterator[Fault]:
    """Every fault of the Jinja in `source`, or only the first where it cannot be parsed. `pools`: the coupon pools that there are, `askable`: what rules
    may ask for; None: not known."""
    try:
        tree = TEXT.parse(source)
    except TemplateSyntaxError as error:
        yield Fault(_place(swapped, lines, error.lineno, ""), "jinja_syntax", "Jinja: {problem}", problem=_sentence(error))
        return
    except RecursionError:
        yield Fault(0, "too_deep", "The Jinja of this template is nested too deeply.")
        return
    problems = list(islice(_problems(tree, pools), MAX_PROBLEMS)) or list(
        _names(tree)
    )  # names are only found in a tree whose filters exist
    for node, code, text, values in problems[:MAX_PROBLEMS]:
        yield Fault(_place(swapped, lines, node.lineno, str(next(iter(values.values()), ""))), code, text, **values)
    for call, issue in islice(rules.problems(tree, askable) if rules.RULE in source else (), MAX_PROBLEMS):
        kind = Fault if issue.severity == "error" else Remark
        place = _place(swapped, lines, call.lineno, str(issue.values.get("name") or rules.RULE))
        where = (issue.field or "").strip(".")
        yield kind(
            place, issue.code, "In the rule at “{where}”: {problem}" if where else "In the rule: {problem}", where=where, problem=issue
        )


Problem = tuple[nodes.Node, str, str, dict[str, Any]]


def _problems(tree: nodes.Template, pools: Collection[str] | None) -> Iterator[Problem]:
    for kind, tag in TAGS.items():
        for node in tree.find_all(kind):
            yield node, "jinja_tag", '"{tag}" is not available in templates.', {"tag": tag}
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            yield loop, "jinja_tag", '"{tag}" is not available in templates.', {"tag": "recursive"}
    for filter_ in tree.find_all(nodes.Filter):
        if filter_.name not in TEXT.filters:
            yield _unknown(filter_, "filter", filter_.name, set(filters.ALL))
    for test in tree.find_all(nodes.Test):
        if test.name not in TEXT.tests:
            yield _unknown(test, "test", test.name, set(TEXT.tests))
    yield from _coupons(tree, pools)
    yield from _limits(tree)


def _coupons(tree: nodes.Template, pools: Collection[str] | None) -> Iterator[Problem]:
    """`coupon` is called, with the name of a pool written out: what a message may take is known when it is saved."""
    calls = list(_calls(tree))
    called = {id(call.node) for call in calls}
    for node in tree.find_all(nodes.Name):
        if node.name == COUPON and id(node) not in called and node.ctx == "load":
            yield node, "coupon", 'Write coupon("POOL") with the key of a coupon pool.', {}
    for call in calls:
        pool = _pool(call)
        if pool is None:
            yield call, "coupon", 'Write coupon("POOL") with the key of a coupon pool.', {}
        elif pools is not None and pool not in pools:
            near = get_close_matches(pool, pools, n=1)
            text = "There is no coupon pool “{pool}”." + (" Did you mean “{near}”?" if near else "")
            yield call, "coupon_pool", text, {"pool": pool[:64], "near": "".join(near)}


def _calls(tree: nodes.Template) -> Iterator[nodes.Call]:
    return (call for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name) and call.node.name == COUPON)


def _pool(call: nodes.Call) -> str | None:
    """The pool that a call names; None if it is not written out."""
    alone = len(call.args) == 1 and not call.kwargs and call.dyn_args is None and call.dyn_kwargs is None
    first = call.args[0] if alone else None
    return first.value if isinstance(first, nodes.Const) and isinstance(first.value, str) else None


def _unknown(node: nodes.Node, what: str, name: str, known: set[str]) -> Problem:
    near = get_close_matches(name, known, n=1)
    text = {
        "filter": 'There is no filter "{name}".',
        "test": 'There is no test "{name}".',
        "value": 'Unknown template value "{name}".',
    }[what]
    return node, f"jinja_{what}", text + (' Did you mean "{near}"?' if near else ""), {"name": name, "near": "".join(near)}


def _names(tree: nodes.Template) -> Iterator[Problem]:
    unknown = meta.find_undeclared_variables(tree) - NAMES - FUNCTIONS - set(TEXT.globals)
    for name in sorted(unknown):
        node = next((n for n in tree.find_all(nodes.Name) if n.name == name), tree)
        yield _unknown(node, "value", name, set(NAMES))


def _limits(tree: nodes.Template) -> Iterator[Problem]:
    deep = next(_too_deep(tree, 0), None)
    if deep is not None:
        yield deep, "too_deep", "Expected loops at most {limit} deep.", {"limit": MAX_LOOP_DEPTH}
    assignments = list(tree.find_all(nodes.Assign))
    if len(assignments) > MAX_ASSIGNMENTS:
        yield assignments[-1], "too_many", 'Expected at most {limit} "set".', {"limit": MAX_ASSIGNMENTS}


def _too_deep(node: nodes.Node, depth: int) -> Iterator[nodes.Node]:
    depth += isinstance(node, nodes.For)
    if depth > MAX_LOOP_DEPTH:
        yield node
        return
    for child in node.iter_child_nodes():
        yield from _too_deep(child, depth)


def _place(swapped: Swapped, lines: Lines, line: int, name: str) -> int:
    """The token that covers `line` and mentions `name`; the start of the line if there is none."""
    covering = [t for t in swapped.tokens.values() if lines.place(t.offset)[0] <= line <= lines.place(t.end)[0]]
    naming = [t for t in covering if name in t.source]
    broken = [t for t in naming if not name and t.kind == "expression" and not _parses(t.source)]
    chosen = broken or naming or covering
    return chosen[0].offset if chosen else lines.start(line)


def _parses(source: str) -> bool:
    try:
        TEXT.parse(source)
    except (TemplateSyntaxError, RecursionError):
        return False
    return True


def _sentence(error: TemplateSyntaxError) -> str:
    return (error.message or "cannot be read").rstrip(".")[:200] + "."


def fields(source: str) -> set[str]:
    """Dotted names of the values that a template reads: `contact.first_name`, `trigger.products`, `unsubscribe_url`, `coupon.POOL`."""
    tree = TEXT.parse(source)
    inner: set[int] = set()
    found: set[str] = set()
    pools = {f"{COUPON}.{pool}" for call in _calls(tree) if (pool := _pool(call))}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        if id(node) not in inner:
            found.add(_path(node, inner))
    return {path for path in found if path.split(".")[0] in NAMES} | pools


def lent(source: str) -> set[str]:
    """Dotted names that a source reads and that are neither values of templates nor set in it: whoever includes a partial sets them."""
    tree = TEXT.parse(source)
    loose = {name for name in meta.find_undeclared_variables(tree) - NAMES - FUNCTIONS - set(TEXT.globals) if not name.startswith("_")}
    inner: set[int] = set()
    paths = {_path(node, inner) for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)) if id(node) not in inner}
    return {path for path in paths if path.split(".")[0] in loose}


def rules_of(sources: Iterable[str]) -> dict[str, str]:
    """Key -> JSON text of every rule that some texts ask."""
    return rules.gathered(TEXT.parse(source) for source in sources if rules.RULE in source)


def rule_in(condition: str) -> Any:
    """The JSON of a rule out of a condition that is one rule and nothing else (`rule({...})`); None if it is something else."""
    return rules.read(condition, TEXT.parse)


def _path(node: nodes.Node, inner: set[int]) -> str:
    names: list[str] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        inner.add(id(node.node))
        name = node.attr if isinstance(node, nodes.Getattr) else _constant(node)
        names = [name, *names] if name else []
        node = node.node
    return ".".join([node.name, *names]) if isinstance(node, nodes.Name) else ""


def _constant(node: nodes.Getitem) -> str:
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else ""
