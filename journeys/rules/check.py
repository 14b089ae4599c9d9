"""What is wrong with a rule that is well formed: unknown names, operators that cannot fit, bounds that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from journeys.catalogue import Catalogue, FieldSpec
from journeys.errors import Issue
from journeys.results import Missing, Results, look_up
from journeys.rules.model import Group, Rule
from journeys.rules.terms import Term

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
    checker = Checker(catalogue, node_id, scope, event, None if triggers is None else tuple(triggers), steps)
    return list(checker.check(rule, path))


@dataclass(frozen=True)
class Checker:
    """What a rule is about, and what is known around it. Terms get it to say what is wrong with them."""

    catalogue: Catalogue
    node_id: str | None
    scope: Scope
    event: str | None
    triggers: tuple[str, ...] | None
    steps: Mapping[str, Results | None] | None = None

    def check(self, rule: Rule, path: str) -> Iterator[Issue]:
        if isinstance(rule, Group):
            yield from self._group(rule, path)
        elif self.scope == "event" and not rule.on_event:
            yield self.issue("rule.only_properties", "Only the properties of the event can be used here.", path)
        else:
            yield from rule.check(self, path)

    def _group(self, group: Group, path: str) -> Iterator[Issue]:
        if not group.rules:
            yield self.issue("rule.empty", "There is no condition here yet: add one, or remove the group.", path)
        for index, inner in enumerate(group.rules):
            yield from self.check(inner, f"{path}.rules.{index}")
        if group.combinator == "and":
            yield from self._contradictions(group, path)

    def _contradictions(self, group: Group, path: str) -> Iterator[Issue]:
        of_kind: dict[type[Term], list[tuple[int, Term]]] = {}
        for index, term in enumerate(group.rules):
            if isinstance(term, Term):
                of_kind.setdefault(type(term), []).append((index, term))
        for kind, together in of_kind.items():
            for index, text, values in kind.contradictions(together):
                yield self.issue("rule.contradiction", text, f"{path}.rules.{index}", **values)

    def of_event(self, event: str) -> Checker:
        """The same for the properties of an event."""
        return replace(self, scope="event", event=event, steps=None)

    def unknown_event(self, name: str, path: str) -> Issue:
        """The warning that nothing is known of an event: it may come tomorrow."""
        meant = self.catalogue.suggest_event(name)
        text = "The event “{name}” is unknown so far. Did you mean “{meant}”?" if meant else "The event “{name}” is unknown so far."
        return self.issue("rule.unknown_event", text, path, "warning", name=name, meant=meant)

    def result_of_step(self, name: str, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        """What is known of `steps.<node>.<field>`, and what is wrong with it."""
        if self.steps is None:
            return None, [self.no_run_here(path)]
        found = look_up(name, self.steps)
        return (found, []) if isinstance(found, FieldSpec) else (None, [leads_nowhere(found, self.node_id, path)])

    def no_run_here(self, path: str) -> Issue:
        return self.issue("rule.needs_run", "There is no run here yet: this condition only works inside a journey.", path)

    def issue(self, code: str, text: str, field: str, severity: Literal["error", "warning"] = "error", **values: Any) -> Issue:
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
