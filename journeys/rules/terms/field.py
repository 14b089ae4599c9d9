from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.catalogue import CONTEXT_FIELDS, FIELD_TITLES, EventSpec, FieldSpec
from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.results import STEPS
from journeys.rules import dates, operands
from journeys.rules.facts import Facts, Telling
from journeys.rules.fields import CONTACT_COLUMNS, OF_RUN, TRIGGER, of_event, topic_of
from journeys.rules.predicates import NEVER, Moving, Not, Predicate, movings, predicate
from journeys.rules.questions import Question, test_of
from journeys.rules.terms.shape import Comparison
from journeys.rules.terms.term import Find, Flip, Term
from journeys.rules.types import FieldName, Operand, Operator

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker

MOMENT = timedelta(microseconds=1)
"""The finest step of our clock."""


class FieldTerm(Term):
    """A contact field, or `trigger.<path>` of the run's entry event; inside `where` a property of the event."""

    kind = "field"
    label = "Field"
    asks = "a contact field, or a property of an event"
    example = {"field": "plan", "operator": "=", "value": "pro"}
    fresh = {"field": "", "operator": "=", "value": ""}
    shape = ((Comparison("field", "operator", "value"),),)
    on_event = True

    field: FieldName
    operator: Operator
    value: Operand = None
    value_source: Literal["value"] = Field("value", alias="valueSource", exclude=True)
    """react-querybuilder can compare with another field; here that is refused rather than misread."""

    # The closure

    def find(self) -> Find:
        name = self.field
        return lambda facts, as_of: facts.value(name)

    def test(self) -> Question:
        return test_of(self._asked())

    def question(self) -> Question:
        """In one call less, because this is what most rules ask."""
        name, test = self.field, self.test()
        return lambda facts, as_of: test(facts.value(name), as_of)

    def question_on_event(self) -> Question:
        find, test = of_event(self.field), self.test_of_property()
        return lambda event, as_of: test(find(event), as_of)

    def test_of_property(self) -> Question:
        """(a property of an event, now) -> answer."""
        return test_of(predicate(self))

    def found_on_event(self, event: Telling) -> Any:
        return of_event(self.field)(event)

    def _asked(self) -> Predicate:
        return predicate(self, instant_column=CONTACT_COLUMNS.get(self.field) == "datetime")

    # What it depends on

    def topics(self) -> Iterable[str]:
        return () if self.needs_run() else (topic_of(self.field),)

    def needs_run(self) -> bool:
        return self.field.startswith(OF_RUN)

    def flip(self) -> Flip | None:
        moving, name = tuple(movings(self._asked())), self.field
        if not moving:
            return None

        def passes(facts: Facts, as_of: datetime) -> datetime | None:
            return next_turn(moving, facts.value(name), as_of)

        return passes

    # What is wrong with it

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        spec, issues = self.spec(checker, path)
        yield from issues
        if operands.wants_value(self.operator, self.value):
            yield operands.VALUE.empty(checker.node_id, f"{path}.value")
        elif predicate(self) in (NEVER, Not(NEVER)) or operands.unfit(self.operator, self.value):
            text = operands.EXPECTED[self.operator]
            yield checker.issue("rule.operand", text, f"{path}.value", operator=self.operator, value=operands.shown(self.value))
        elif spec is not None:
            yield from self._types(checker, spec, path)

    def spec(self, checker: Checker, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        """What is known of the field, and what is wrong with its name."""
        if checker.scope == "event" and self.field in CONTEXT_FIELDS:
            return CONTEXT_FIELDS[self.field], []
        if checker.scope == "event":
            return self._property(checker, self.field, None if checker.event is None else (checker.event,), path)
        if self.needs_run() and checker.scope == "contact":
            return None, [checker.no_run_here(f"{path}.field")]
        if self.field.startswith(TRIGGER):
            return self._property(checker, self.field.removeprefix(TRIGGER), checker.triggers, path)
        if self.field.startswith(STEPS):
            return checker.result_of_step(self.field, f"{path}.field")
        spec = checker.catalogue.field(self.field)
        return spec, [] if spec else [self._unknown(checker, path)]

    def _property(self, checker: Checker, name: str, events: Iterable[str] | None, path: str) -> tuple[FieldSpec | None, list[Issue]]:
        """The property's spec; a warning when every event is known and none has it."""
        specs = [checker.catalogue.event(event) for event in events or ()]
        known = [spec for spec in specs if spec is not None]
        found = next((spec for event in known if (spec := event.property(name)) is not None), None)
        if found is not None or not known or len(known) < len(specs):
            return found if len(known) == 1 else None, []
        return None, [self._unknown_property(checker, name, known, path)]

    def _unknown(self, checker: Checker, path: str) -> Issue:
        name, meant = self.field, checker.catalogue.suggest_field(self.field)
        text = "There is no field “{name}”. Did you mean “{meant}”?" if meant else "There is no field “{name}”."
        return checker.issue("rule.unknown_field", text, f"{path}.field", name=name, meant=meant)

    def _unknown_property(self, checker: Checker, name: str, events: Sequence[EventSpec], path: str) -> Issue:
        names = ", ".join(spec.name for spec in events)
        text = "“{event}” has had no property “{name}” so far."
        return checker.issue("rule.unknown_property", text, f"{path}.field", "warning", name=name, event=names)

    def _types(self, checker: Checker, spec: FieldSpec, path: str) -> Iterator[Issue]:
        if not operands.applies(self.operator, spec.type):
            text = "“{name}” is of type {type}; the operator “{operator}” does not apply."
            yield checker.issue("rule.operator", text, f"{path}.operator", name=spec.name, type=spec.type, operator=self.operator)
        elif not operands.can_equal(self.operator, self.value, spec.type):
            text = "“{name}” is of type {type}; {value} can never equal it."
            shown = operands.shown(self.value)
            yield checker.issue("rule.operand_type", text, f"{path}.value", name=spec.name, type=spec.type, value=shown)

    @classmethod
    def contradictions(cls, together: Sequence[tuple[int, Term]]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
        asked: dict[str, list[tuple[int, FieldTerm]]] = {}
        for index, term in together:
            if isinstance(term, FieldTerm):
                asked.setdefault(term.field, []).append((index, term))
        for name, terms in asked.items():
            if len(terms) > 1 and operands.contradict([term for _, term in terms]):
                text = "The conditions on “{name}” contradict each other: no value fulfils them all."
                yield terms[-1][0], text, {"name": name}

    @classmethod
    def unfilled(cls, data: Mapping[str, Any]) -> Iterator[tuple[str, FieldLabel]]:
        if "operator" in data and operands.wants_value(data["operator"], data.get("value")):
            yield "value", operands.VALUE

    # For people

    def sentence(self, speaker: Speaker) -> str:
        return compared(speaker, self.title(speaker), self.operator, self.value)

    def title(self, speaker: Speaker) -> str:
        """What people call the field."""
        return _title(self.field, speaker)


def compared(speaker: Speaker, field: str, operator: str, value: Any) -> str:
    """`total is at least 50`: something (`field`, in words) compared with an operand."""
    text = SENTENCES[operator]
    if operator in ("withinLast", "withinNext"):
        when = speaker.last(value) if operator == "withinLast" else speaker.next(value)
        return speaker.fill(text, field=field, when=when)
    if operator in ("before", "after") and (offset := dates.duration(value)) is not None:
        return speaker.fill(_MOVING[operator], field=field, value=speaker.offset(offset))
    if operator == "between":
        low, high = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
        return speaker.fill(text, field=field, low=speaker.value(low), high=speaker.value(high))
    return speaker.fill(text, field=field, value=speaker.value(value))


def next_turn(movings: Iterable[Moving], value: Any, as_of: datetime) -> datetime | None:
    """When the next of these bounds passes a value that is a date; None: never."""
    at = dates.moment(value)
    turns = () if at is None else (turn for one in movings if (turn := _turn(one, at)) is not None and turn > as_of)
    return min(turns, default=None)


def _turn(moving: Moving, at: datetime) -> datetime | None:
    """When `at` and now + offset change sides: `<` and `>=` turn a moment after they are equal, `<=` and `>` as they become so."""
    try:
        equal_at = at - moving.offset
        return equal_at + MOMENT if moving.comparison in ("<", ">=") else equal_at
    except OverflowError:
        return None


def _title(name: str, speaker: Speaker) -> str:
    if name.startswith(TRIGGER):
        return speaker.fill("{field} of the trigger", field=name.removeprefix(TRIGGER))
    if name.startswith(STEPS):
        node, _, field = name.removeprefix(STEPS).partition(".")
        return speaker.fill("{field} of the step “{node}”", field=field, node=speaker.names.get(node, node))
    around = CONTEXT_FIELDS.get(name)
    title = around.title if around else FIELD_TITLES.get(name)
    return speaker.translate(title) if title else name


SENTENCES = {
    "=": "{field} is {value}",
    "!=": "{field} is not {value}",
    "<": "{field} is less than {value}",
    "<=": "{field} is at most {value}",
    ">": "{field} is more than {value}",
    ">=": "{field} is at least {value}",
    "contains": "{field} contains {value}",
    "doesNotContain": "{field} does not contain {value}",
    "beginsWith": "{field} begins with {value}",
    "endsWith": "{field} ends with {value}",
    "in": "{field} is one of {value}",
    "notIn": "{field} is none of {value}",
    "between": "{field} is between {low} and {high}",
    "null": "{field} is unknown",
    "notNull": "{field} is known",
    "before": "{field} is before {value}",
    "after": "{field} is after {value}",
    "withinLast": "{field} was {when}",
    "withinNext": "{field} will be {when}",
}
_MOVING = {"before": "{field} is earlier than {value}", "after": "{field} is later than {value}"}
