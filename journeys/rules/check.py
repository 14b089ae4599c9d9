"""What is wrong with a rule that is well formed: unknown names, operators that cannot fit, bounds that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from journeys.catalogue import Catalogue, EventSpec, FieldSpec
from journeys.errors import Issue
from journeys.results import STEPS, Missing, Results, look_up
from journeys.rules import dates
from journeys.rules.fields import TRIGGER
from journeys.rules.messages import desugar
from journeys.rules.model import EventTerm, FieldTerm, Group, MessageTerm, Rule
from journeys.rules.predicates import NEVER, Not, predicate
from journeys.rules.unfilled import VALUE, wants_value

Scope = Literal["run", "contact", "event"]


def check_rule(
    rule: Rule,
    catalogue: Catalogue,
    node_id: str | None,
    path: str,
    *,
    scope: Scope = "run",
    event: str | None = None,
    triggers: Iterable[str] | None = None,
    steps: Mapping[str, Results | None] | None = None,
) -> list[Issue]:
    """Every problem of `rule`, which stands in field `path` of `node_id` (None: the document).

    `scope` says what the rule is about: a run, a contact outside a run (entry filters, schedules: nothing of the run may be asked), or
    the properties of one event (`event` names it; None: any). `triggers` names the events that can start the run, for `trigger.…` fields;
    `steps` says what each step of the journey leaves, for `steps.…` fields.
    """
    checker = _Checker(catalogue, node_id, scope, event, None if triggers is None else tuple(triggers), steps)
    return list(checker.check(rule, path))


@dataclass(frozen=True)
class _Checker:
    catalogue: Catalogue
    node_id: str | None
    scope: Scope
    event: str | None
    triggers: tuple[str, ...] | None
    steps: Mapping[str, Results | None] | None = None

    def check(self, rule: Rule, path: str) -> Iterator[Issue]:
        if isinstance(rule, Group):
            if not rule.rules:
                yield self._issue("rule.empty", "There is no condition here yet: add one, or remove the group.", path)
            for index, inner in enumerate(rule.rules):
                yield from self.check(inner, f"{path}.rules.{index}")
            yield from self._contradictions(rule, path)
        elif self.scope == "event" and not isinstance(rule, FieldTerm):
            yield self._issue("rule.only_properties", "Only the properties of the event can be used here.", path)
        else:
            yield from _CHECKS.get(type(rule), _nothing)(self, rule, path)

    def field(self, term: FieldTerm, path: str) -> Iterator[Issue]:
        spec: FieldSpec | None = None
        if self.scope == "event":
            spec, issues = self._property(term.field, None if self.event is None else (self.event,), path)
        elif term.field.startswith(TRIGGER):
            spec, issues = self._trigger(term, path)
        elif term.field.startswith(STEPS):
            spec, issues = self._step(term.field, f"{path}.field")
        else:
            spec = self.catalogue.field(term.field)
            issues = [] if spec else [self._unknown_field(term.field, path)]
        yield from issues
        if wants_value(term.operator, term.value):
            yield VALUE.empty(self.node_id, f"{path}.value")
        elif predicate(term) in (NEVER, Not(NEVER)) or _unfit(term):
            yield self._issue("rule.operand", _EXPECTED[term.operator], f"{path}.value", operator=term.operator, value=_shown(term.value))
        elif spec is not None:
            yield from self._types(term, spec, path)

    def event_term(self, term: EventTerm, path: str) -> Iterator[Issue]:
        spec = self.catalogue.event(term.event)
        if spec is None:
            yield self._unknown_event(term.event, path)
        if self.scope == "contact" and (term.since_entry or term.own_run):
            yield self._issue("rule.needs_run", "There is no run here yet: this condition only works inside a journey.", path)
        if (term.count.operator, term.count.value) in ((">=", 0), ("<", 0)):
            yield self._issue("rule.count", "This count is always or never reached.", f"{path}.count", "warning")
        if term.where is not None:
            inner = _Checker(self.catalogue, self.node_id, "event", term.event, self.triggers)
            yield from inner.check(term.where, f"{path}.where")

    def message(self, term: MessageTerm, path: str) -> Iterator[Issue]:
        if self.scope == "contact" and desugar(term).own_run:
            yield self._issue("rule.needs_run", "There is no run here yet: this condition only works inside a journey.", path)
        if term.message == "opened":
            text = "Opens are unreliable: many mail programs load images by themselves, others never do. Clicks are more reliable."
            yield self._issue("rule.opens_uncertain", text, path, "warning")

        if term.message == "delivered":
            text = "No provider reports deliveries to Pfadwerk yet, so this is never true. Check whether the message was sent instead."
            yield self._issue("rule.no_deliveries", text, path, "warning")

    # Names

    def _trigger(self, term: FieldTerm, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        if self.scope == "contact":
            text = "There is no run here yet: this condition only works inside a journey."
            return None, [self._issue("rule.needs_run", text, f"{path}.field")]
        return self._property(term.field.removeprefix(TRIGGER), self.triggers, path)

    def _step(self, name: str, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        if self.scope == "contact" or self.steps is None:
            return None, [self._issue("rule.needs_run", "There is no run here yet: this condition only works inside a journey.", path)]
        found = look_up(name, self.steps)
        return (found, []) if isinstance(found, FieldSpec) else (None, [leads_nowhere(found, self.node_id, path)])

    def _property(self, name: str, events: tuple[str, ...] | None, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        """The property's spec; a warning when every event is known and none has it."""
        specs = [self.catalogue.event(event) for event in events or ()]
        known = [spec for spec in specs if spec is not None]
        found = next((spec for event in known if (spec := event.property(name)) is not None), None)
        if found is not None or not known or len(known) < len(specs):
            return found if len(known) == 1 else None, []
        return None, [self._unknown_property(name, known, path)]

    def _unknown_field(self, name: str, path: str) -> Issue:
        meant = self.catalogue.suggest_field(name)
        text = "There is no field “{name}”. Did you mean “{meant}”?" if meant else "There is no field “{name}”."
        return self._issue("rule.unknown_field", text, f"{path}.field", name=name, meant=meant)

    def _unknown_event(self, name: str, path: str) -> Issue:
        meant = self.catalogue.suggest_event(name)
        text = "The event “{name}” is unknown so far. Did you mean “{meant}”?" if meant else "The event “{name}” is unknown so far."
        return self._issue("rule.unknown_event", text, f"{path}.event", "warning", name=name, meant=meant)

    def _unknown_property(self, name: str, events: list[EventSpec], path: str) -> Issue:
        names = ", ".join(spec.name for spec in events)
        text = "“{event}” has had no property “{name}” so far."
        return self._issue("rule.unknown_property", text, f"{path}.field", "warning", name=name, event=names)

    # Types

    def _types(self, term: FieldTerm, spec: FieldSpec, path: str) -> Iterator[Issue]:
        allowed = _OPERATORS.get(spec.type)
        if allowed is None or term.operator in _ALWAYS:
            return
        if term.operator not in allowed:
            text = "“{name}” is of type {type}; the operator “{operator}” does not apply."
            yield self._issue("rule.operator", text, f"{path}.operator", name=spec.name, type=spec.type, operator=term.operator)
        elif spec.type in _OPERAND and not all(_OPERAND[spec.type](value) for value in _values(term)):
            text = "“{name}” is of type {type}; {value} can never equal it."
            yield self._issue("rule.operand_type", text, f"{path}.value", name=spec.name, type=spec.type, value=_shown(term.value))

    # Bounds

    def _contradictions(self, group: Group, path: str) -> Iterator[Issue]:
        if group.combinator != "and":
            return
        asked: dict[str, list[tuple[int, FieldTerm]]] = {}
        for index, term in enumerate(group.rules):
            if isinstance(term, FieldTerm):
                asked.setdefault(term.field, []).append((index, term))
        for name, terms in asked.items():
            if len(terms) > 1 and _contradict([term for _, term in terms]):
                text = "The conditions on “{name}” contradict each other: no value fulfils them all."
                yield self._issue("rule.contradiction", text, f"{path}.rules.{terms[-1][0]}", name=name)

    def _issue(self, code: str, text: str, field: str, severity: Literal["error", "warning"] = "error", **values: Any) -> Issue:
        return Issue(code=code, text=text, values=values, node_id=self.node_id, field=field, severity=severity)


def leads_nowhere(missing: Missing, node_id: str | None, path: str) -> Issue:
    """The issue of a name that leads to no step, or to nothing that the step leaves."""
    text = _NOWHERE[missing.noun, missing.near is not None]
    values = {"node": missing.node, "name": missing.name or missing.node, **({"near": missing.near} if missing.near else {})}
    return Issue(code=f"unknown_{missing.noun}", text=text, values=values, node_id=node_id, field=path)


_NOWHERE = {
    ("node", False): "There is no step “{name}”.",
    ("node", True): "There is no step “{name}”. Did you mean “{near}”?",
    ("result", False): "The step “{node}” has no result “{name}”.",
    ("result", True): "The step “{node}” has no result “{name}”. Did you mean “{near}”?",
}


def _nothing(_checker: _Checker, _term: Any, _path: str) -> Iterator[Issue]:
    return iter(())


_CHECKS: Mapping[type, Callable[[_Checker, Any, str], Iterator[Issue]]] = {
    FieldTerm: _Checker.field,
    EventTerm: _Checker.event_term,
    MessageTerm: _Checker.message,
}


def _values(term: FieldTerm) -> tuple[Any, ...]:
    return term.value if isinstance(term.value, tuple) else (term.value,)


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _unfit(term: FieldTerm) -> bool:
    """Operands that make sense to nobody although they have a defined result."""
    value = term.value
    if term.operator in ("in", "notIn"):
        return not isinstance(value, tuple) or not value or any(one is None for one in value)
    if term.operator in ("contains", "doesNotContain", "beginsWith", "endsWith"):
        return value == ""
    return term.operator == "between" and isinstance(value, tuple) and len(value) == 2 and _reversed(value[0], value[1])


def _reversed(low: Any, high: Any) -> bool:
    for kind in (_as_number, _as_instant):
        lower, upper = kind(low), kind(high)
        if lower is not None and upper is not None:
            return bool(lower > upper)
    return False


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _is_date(value: Any) -> bool:
    return dates.instant(dates.normalise(value)) is not None or dates.duration(value) is not None


# --- Contradicting bounds ------------------------------------------------------------------------------------------


def _contradict(terms: list[FieldTerm]) -> bool:
    """Whether no number, and no one text, can fulfil all of these. Looks at what is asked of one value; negative operators are left out."""
    if any(term.operator == "null" for term in terms):
        return any(term.operator not in ("null", *_NEGATIVE) for term in terms)
    return _no_value_left(terms) or _no_room(terms)


def _no_value_left(terms: list[FieldTerm]) -> bool:
    sets = [{(_kind(v), dates.normalise(v)) for v in _values(term)} for term in terms if term.operator in ("=", "in")]
    return len(sets) > 1 and not set.intersection(*sets)


def _kind(value: Any) -> str:
    return "number" if _numbers(value) else type(value).__name__


def _no_room(terms: list[FieldTerm]) -> bool:
    """Whether the largest lower bound lies above the smallest upper one, among bounds of one kind."""
    for kind in (_as_number, _as_instant):
        lows = [(value, strict) for term in terms for value, strict in _bounds(term, ">", "after", kind)]
        highs = [(value, strict) for term in terms for value, strict in _bounds(term, "<", "before", kind)]
        if any(low > high or (low == high and (a or b)) for low, a in lows for high, b in highs):
            return True
    return False


def _bounds(term: FieldTerm, side: str, word: str, kind: Callable[[Any], Any]) -> Iterator[tuple[Any, bool]]:
    """(bound, whether it is excluded) on one side."""
    value = term.value
    if term.operator == "between" and isinstance(value, tuple) and len(value) == 2:
        value = value[0 if side == ">" else 1]
    elif term.operator not in (side, side + "=", word, "="):
        return
    bound = kind(value)
    if bound is not None:
        yield bound, term.operator in (side, word)


def _as_number(value: Any) -> Any:
    return value if _numbers(value) else None


def _as_instant(value: Any) -> Any:
    return dates.instant(dates.normalise(value))


# --- Tables --------------------------------------------------------------------------------------------------------

_ALWAYS = ("null", "notNull")
_NEGATIVE = ("!=", "notIn", "doesNotContain")
_EQUALITY = ("=", "!=", "in", "notIn")
_ORDER = ("<", "<=", ">", ">=", "between")
_DATES = ("before", "after", "withinLast", "withinNext")
_PARTS = ("contains", "doesNotContain", "beginsWith", "endsWith")

_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "string": (*_EQUALITY, *_PARTS),
    "number": (*_EQUALITY, *_ORDER),
    "boolean": _EQUALITY,
    "datetime": (*_EQUALITY, *_ORDER, *_DATES),
    "date": (*_EQUALITY, *_ORDER, *_DATES),
    "list": ("contains", "doesNotContain"),
    "object": (),
}
"""Operators that can be true for a type; `any` is not listed and takes all."""

_OPERAND: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _numbers,
    "boolean": lambda value: isinstance(value, bool),
    "datetime": _is_date,
    "date": _is_date,
}

_ONE = "The operator “{operator}” needs one value, got: {value}. To ask whether a field is known, use “null” and “notNull”."
_TEXT = "The operator “{operator}” needs a text that is not empty, got: {value}."
_BOUND = "The operator “{operator}” needs a number or a date such as 2026-12-31, got: {value}."
_LIST = "The operator “{operator}” needs a list of values that is not empty, got: {value}."
_DATE = "The operator “{operator}” needs a date such as 2026-12-31 or a time span from now such as -P30D, got: {value}."
_SPAN = "The operator “{operator}” needs a time span of at most ten years such as P3D, got: {value}."

_EXPECTED: Mapping[str, str] = {
    "=": _ONE,
    "!=": _ONE,
    "<": _BOUND,
    "<=": _BOUND,
    ">": _BOUND,
    ">=": _BOUND,
    "contains": _TEXT,
    "doesNotContain": _TEXT,
    "beginsWith": _TEXT,
    "endsWith": _TEXT,
    "in": _LIST,
    "notIn": _LIST,
    "between": "The operator “{operator}” needs two numbers or two dates, the smaller one first, got: {value}.",
    "null": _ONE,
    "notNull": _ONE,
    "before": _DATE,
    "after": _DATE,
    "withinLast": _SPAN,
    "withinNext": _SPAN,
}
