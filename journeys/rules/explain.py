"""Why a rule gave its result: every term with what was found. Stored on timelines, so it is JSON and bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from journeys.rules.closures import matches
from journeys.rules.facts import Facts, Telling
from journeys.rules.memo import Memo
from journeys.rules.model import Rule
from journeys.rules.questions import Question
from journeys.rules.terms import Term
from journeys.rules.terms.term import Find, short
from journeys.rules.walk import terms

Asked = tuple[str, dict[str, Any], Term, Find, Question]
"""(path, the term as JSON, the term, how what it asks for is found, whether that fulfils it)"""


def explain(rule: Rule, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
    """One row a term in reading order: {"path": "rules.0", "term": the term as JSON, "actual": what was found, "result": bool}.

    `actual` is the field's value (long ones cut), the score, the consent state, whether the tag is there, or for events
    {"count", "newest_at"}. `sentence(parse_rule(row["term"]), …)` says the term in words.
    """
    rows = []
    for path, json, term, find, test in _asked(rule):
        found = find(facts, as_of)
        rows.append({"path": path, "term": json, "actual": term.shown(found), "result": test(found, as_of)})
    return rows


def explain_event(where: Rule, event: Telling, as_of: datetime) -> list[dict[str, Any]]:
    """The same for a condition on one event (`matches`): `actual` is the property's value."""
    return [_on_event(path, term, event, as_of) for path, term in terms(where)]


def _on_event(path: tuple[str, ...], term: Term, event: Telling, as_of: datetime) -> dict[str, Any]:
    actual = short(term.found_on_event(event))
    return {"path": ".".join(path), "term": term.as_json(), "actual": actual, "result": matches(term, event, as_of)}


def _compiled(rule: Rule) -> tuple[Asked, ...]:
    return tuple((".".join(path), term.as_json(), term, term.find(), term.test()) for path, term in terms(rule))


_asked: Memo[Rule, tuple[Asked, ...]] = Memo(_compiled)
