"""The first face of a rule: a Python closure that answers for one contact.

A rule is compiled once into nested functions without any test of types at run time; `holds` looks the function up by the
rule's identity. A three-term rule takes a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from journeys.rules.facts import Facts, Telling
from journeys.rules.memo import Memo
from journeys.rules.model import Group, Rule
from journeys.rules.questions import Question, combined, turned


def holds(rule: Rule, facts: Facts, as_of: datetime) -> bool:
    """Whether `rule` is true for the contact of `facts` at `as_of` (aware UTC)."""
    return _contact_question(rule)(facts, as_of)


def matches(where: Rule, event: Telling, as_of: datetime) -> bool:
    """Whether `where` is true for one event; terms that can only be asked of a contact are false there."""
    return _event_question(where)(event, as_of)


def _on_contact(rule: Rule) -> Question:
    return _group(rule, _on_contact) if isinstance(rule, Group) else rule.question()


def _on_event(rule: Rule) -> Question:
    return _group(rule, _on_event) if isinstance(rule, Group) else rule.question_on_event()


def _group(group: Group, compile_rule: Callable[[Rule], Question]) -> Question:
    answer = combined(group.combinator, tuple(compile_rule(rule) for rule in group.rules))
    return turned(answer) if group.negated else answer


_contact_question: Memo[Rule, Question] = Memo(_on_contact)
_event_question: Memo[Rule, Question] = Memo(_on_event)
