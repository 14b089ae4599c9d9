"""Rules in templates: `{% if rule({"field": "plan", "operator": "=", "value": "pro"}) %}` shows what follows to those for whom the rule holds.

The rule is the JSON of `journeys.rules`, written out, as Jinja writes it (`none` for `null`), so that it goes wherever its block goes: into
copies, partials, other views of the text. It asks about the contact and about no run. `compile` gathers the rules of a text under their
keys; whoever fills it in answers them beforehand (`answers`), and the text is told which hold. Reads nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import TemplateSyntaxError, meta, nodes
from pydantic import ValidationError

from activities.rendering.faults import RenderFailed
from journeys.contact_rules import Askable, checked
from journeys.errors import Issue
from journeys.rules import Rule, holds, parse_rule
from journeys.rules.facts import Facts

RULE = "rule"
"""The function of templates that asks a rule."""
ANSWERS = "rules"
"""Under this name what is filled in holds key of a rule -> whether it holds."""
MAX_RULES = 20
"""Different ones in one language of a template: each event that one asks for is a question to the database, for every message."""


def calls(tree: nodes.Node) -> Iterator[nodes.Call]:
    return (call for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name) and call.node.name == RULE)


def data_of(call: nodes.Call) -> Any:
    """The JSON of the rule that a call writes out; None if it writes none."""
    alone = len(call.args) == 1 and not call.kwargs and call.dyn_args is None and call.dyn_kwargs is None
    if not alone or not isinstance(call.args[0], nodes.Dict | nodes.Const):  # Jinja's optimizer makes one the other
        return None
    try:
        found = json.loads(text_of(call.args[0].as_const()))
        return found if isinstance(found, dict) else None
    except (nodes.Impossible, TypeError, ValueError, RecursionError):
        return None


def text_of(data: Any) -> str:
    """A rule's JSON in the one way that equal rules have in common."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False)


def key_of(text: str) -> str:
    """Names a rule in answers; `text` is that of `text_of`."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def keyed(tree: nodes.Node) -> None:
    """Has each call of `tree` name its rule instead of writing it out, so that filling in looks an answer up and builds nothing."""
    for call in list(calls(tree)):
        if (data := data_of(call)) is not None:
            call.args = [nodes.Const(key_of(text_of(data)), lineno=call.lineno)]


def gathered(trees: Iterable[nodes.Node]) -> dict[str, str]:
    """Key -> JSON text of every rule that some texts ask."""
    texts = (text_of(data) for tree in trees for call in calls(tree) if (data := data_of(call)) is not None)
    return {key_of(text): text for text in texts}


def problems(tree: nodes.Template, askable: Askable | None) -> Iterator[tuple[nodes.Node, Issue]]:
    """What is wrong with the rules of a text, each with where it stands. `askable`: what there is; None: not known."""
    found = list(calls(tree))
    called = {id(call.node) for call in found}
    names = [] if RULE not in meta.find_undeclared_variables(tree) else [one for one in tree.find_all(nodes.Name) if one.name == RULE]
    for name in names:
        if id(name) not in called:
            yield name, _UNWRITTEN
    if len(gathered([tree])) > MAX_RULES:
        text = "Expected at most {limit} different rules."
        yield found[-1], Issue(code="too_many", text=text, values={"limit": MAX_RULES})
        return
    for call in found:
        data = data_of(call)
        if data is None:
            yield call, _UNWRITTEN
        else:
            yield from ((call, issue) for issue in wrong(data, askable))


_UNWRITTEN = Issue(code="rule_written", text='Write rule({{"field": "plan", "operator": "=", "value": "pro"}}), with the whole rule.')
_NO_RUN = "In a template a rule asks for the contact alone; for what a run brings along, write {{% if trigger.… %}}."


def wrong(data: Any, askable: Askable | None) -> Iterator[Issue]:
    """What is wrong with one rule; `field` is the place in it."""
    for issue in checked(data, askable)[1]:
        yield issue.model_copy(update={"text": _NO_RUN}) if issue.code == "rule.needs_run" else issue


def answers(rules: Mapping[str, str], facts: Facts, as_of: datetime) -> dict[str, Any]:
    """`{"rules": key -> whether it holds}`, beside the other values of a message; empty where it asks nothing. `rules`: as `Variant.rules`.

    Raises:
        RenderFailed: a rule that this version of the product cannot read.
    """
    return {ANSWERS: {key: holds(_read(text), facts, as_of) for key, text in rules.items()}} if rules else {}


@lru_cache(maxsize=2048)
def _read(text: str) -> Rule:
    try:
        return parse_rule(json.loads(text))
    except ValidationError:
        raise RenderFailed("template_error", RULE) from None


def answering(known: Mapping[str, bool]) -> Callable[[str], bool]:
    """`rule` as texts call it while they are filled in."""

    def rule(key: str) -> bool:
        if key not in known:
            raise RenderFailed("template_error", RULE)
        return known[key]

    return rule


def written(data: Any) -> str:
    """`rule({...})` as it stands in a text."""
    return f"{RULE}({_literal(data)})"


def _literal(data: Any) -> str:
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{_literal(str(key))}: {_literal(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list | tuple):
        return "[" + ", ".join(map(_literal, data)) + "]"
    return "none" if data is None else json.dumps(data, ensure_ascii=False)


def read(condition: str, parse: Callable[[str], nodes.Template]) -> Any:
    """The rule's JSON out of a condition that is one rule and nothing else; None if it is something else."""
    try:
        tree = parse("{% if " + condition + " %}{% endif %}")
    except (TemplateSyntaxError, RecursionError):
        return None
    test = tree.body[0].test if len(tree.body) == 1 and isinstance(tree.body[0], nodes.If) else None
    is_rule = isinstance(test, nodes.Call) and isinstance(test.node, nodes.Name) and test.node.name == RULE
    return data_of(test) if is_rule and isinstance(test, nodes.Call) else None
