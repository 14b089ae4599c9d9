"""The first face of a rule: a Python closure that answers for one contact.

A rule is compiled once into nested functions without any test of types at run time; `holds` looks the function up by the
rule's identity. A three-term rule takes a few microseconds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from journeys.rules import dates
from journeys.rules.facts import Facts
from journeys.rules.fields import CONTACT_COLUMNS, path_of, read
from journeys.rules.memo import Memo
from journeys.rules.messages import desugar
from journeys.rules.model import ConsentTerm, EventTerm, FieldTerm, Group, MessageTerm, Rule, ScoreTerm, TagTerm
from journeys.rules.predicates import All, AnyOf, Element, Instant, Missing, Moving, Not, Number, OneOf, Predicate, Text, predicate

Question = Callable[[Any, datetime], bool]
"""(facts or properties or value, now) -> answer"""

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_NUMBERS = (int, float)  # compared with `__class__`: bool is a subclass of int and no number


def holds(rule: Rule, facts: Facts, as_of: datetime) -> bool:
    """Whether `rule` is true for the contact of `facts` at `as_of` (aware UTC)."""
    return _contact_question(rule)(facts, as_of)


def matches(where: Rule, properties: Mapping[str, Any], as_of: datetime) -> bool:
    """Whether `where` is true for the properties of one event; terms other than fields and groups are false there."""
    return _event_question(where)(properties, as_of)


def test_of(asked: Predicate) -> Question:
    """`asked` as a function of a value and now."""
    return _TESTS[type(asked)](asked)


# --- Rules on a contact ------------------------------------------------------------------------------------------


def _group(group: Group, compile_rule: Callable[[Rule], Question]) -> Question:
    answer = _combined(group.combinator, tuple(compile_rule(rule) for rule in group.rules))
    return _turned(answer) if group.negated else answer


def _combined(combinator: str, inner: tuple[Question, ...]) -> Question:
    if not inner:
        return lambda facts, as_of: True
    if len(inner) == 1:
        return inner[0]
    return _all(inner) if combinator == "and" else _any(inner)


def _all(inner: tuple[Question, ...]) -> Question:
    def every(subject: Any, as_of: datetime) -> bool:
        for ask in inner:  # noqa: SIM110 - a generator costs twice as much
            if not ask(subject, as_of):
                return False
        return True

    return every


def _any(inner: tuple[Question, ...]) -> Question:
    def some(subject: Any, as_of: datetime) -> bool:
        for ask in inner:  # noqa: SIM110 - a generator costs twice as much
            if ask(subject, as_of):
                return True
        return False

    return some


def _turned(ask: Question) -> Question:
    return lambda subject, as_of: not ask(subject, as_of)


def _contact_group(group: Group) -> Question:
    return _group(group, _on_contact)


def _contact_field(term: FieldTerm) -> Question:
    name = term.field
    test = test_of(predicate(term, instant_column=CONTACT_COLUMNS.get(name) == "datetime"))
    return lambda facts, as_of: test(facts.value(name), as_of)


def _event(term: EventTerm) -> Question:
    compare, bound, did = COMPARE[term.count.operator], term.count.value, term.did
    return lambda facts, as_of: compare(facts.occurrences(term, as_of).count, bound) is did


def _message(term: MessageTerm) -> Question:
    return _event(desugar(term))


def _consent(term: ConsentTerm) -> Question:
    channel, purpose, state, equal = term.consent, term.purpose, term.value, term.operator == "="
    return lambda facts, as_of: ((facts.consent(channel, purpose) or "unknown") == state) is equal


def _score(term: ScoreTerm) -> Question:
    group, compare, bound = term.score, COMPARE[term.operator], term.value
    return lambda facts, as_of: compare(facts.score(group), bound)


def _tag(term: TagTerm) -> Question:
    tag, has = term.tag, term.has
    return lambda facts, as_of: facts.has_tag(tag) is has


_CONTACT: Mapping[type, Callable[[Any], Question]] = {
    Group: _contact_group,
    FieldTerm: _contact_field,
    EventTerm: _event,
    MessageTerm: _message,
    ConsentTerm: _consent,
    ScoreTerm: _score,
    TagTerm: _tag,
}


def _on_contact(rule: Rule) -> Question:
    return _CONTACT[type(rule)](rule)


_contact_question: Memo[Rule, Question] = Memo(_on_contact)


# --- Rules on the properties of an event -------------------------------------------------------------------------


def _on_event(rule: Rule) -> Question:
    if isinstance(rule, Group):
        return _group(rule, _on_event)
    return _property(rule) if isinstance(rule, FieldTerm) else _never


def _property(term: FieldTerm) -> Question:
    path, test = path_of(term.field), test_of(predicate(term))
    if len(path) == 1:
        key = path[0]
        return lambda properties, as_of: test(properties.get(key), as_of)
    return lambda properties, as_of: test(read(properties, path), as_of)


_event_question: Memo[Rule, Question] = Memo(_on_event)


# --- The questions a field term is made of -----------------------------------------------------------------------


def _never(value: Any, as_of: datetime) -> bool:
    return False


def _missing(value: Any, as_of: datetime) -> bool:
    return value is None


def _one_of(asked: OneOf) -> Question:
    texts, numbers, booleans = frozenset(asked.texts), frozenset(asked.numbers), frozenset(asked.booleans)
    if not numbers and not booleans:
        return lambda value, as_of: value.__class__ is str and value in texts

    def test(value: Any, as_of: datetime) -> bool:
        kind = value.__class__
        if kind is str:
            return value in texts
        if kind is bool:
            return value in booleans
        return kind in _NUMBERS and value in numbers

    return test


def _number(asked: Number) -> Question:
    compare, bound = COMPARE[asked.comparison], asked.bound
    return lambda value, as_of: value.__class__ in _NUMBERS and compare(value, bound)


def _instant(asked: Instant) -> Question:
    compare, bound, instant = COMPARE[asked.comparison], asked.bound, dates.instant

    def test(value: Any, as_of: datetime) -> bool:
        text = instant(value)
        return text is not None and compare(text, bound)

    return test


def _moving(asked: Moving) -> Question:
    compare, offset, instant = COMPARE[asked.comparison], asked.offset, dates.instant

    def test(value: Any, as_of: datetime) -> bool:
        text = instant(value)
        return text is not None and compare(text, dates.text_of(as_of + offset))

    return test


def _text(asked: Text) -> Question:
    needle = asked.needle
    if asked.where == "inside":
        return lambda value, as_of: value.__class__ is str and needle in value
    if asked.where == "start":
        return lambda value, as_of: value.__class__ is str and value.startswith(needle)
    return lambda value, as_of: value.__class__ is str and value.endswith(needle)


def _element(asked: Element) -> Question:
    test = _one_of(asked.one_of)

    def found(value: Any, as_of: datetime) -> bool:
        return isinstance(value, list | tuple) and any(test(element, as_of) for element in value)

    return found


def _every(asked: All) -> Question:
    return _all(tuple(test_of(inner) for inner in asked.inner))


def _some(asked: AnyOf) -> Question:
    return _any(tuple(test_of(inner) for inner in asked.inner))


_TESTS: Mapping[type, Callable[[Any], Question]] = {
    Missing: lambda _: _missing,
    OneOf: _one_of,
    Number: _number,
    Instant: _instant,
    Moving: _moving,
    Text: _text,
    Element: _element,
    Not: lambda asked: _turned(test_of(asked.inner)),
    All: _every,
    AnyOf: _some,
}
