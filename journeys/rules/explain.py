"""Why a rule gave its result: every term with what was found. Stored on timelines, so it is JSON and bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from journeys.rules import dates
from journeys.rules.closures import COMPARE, matches, test_of
from journeys.rules.facts import Facts, Occurrences
from journeys.rules.fields import CONTACT_COLUMNS, path_of, read
from journeys.rules.memo import Memo
from journeys.rules.messages import desugar
from journeys.rules.model import ConsentTerm, EventTerm, FieldTerm, MessageTerm, Rule, ScoreTerm, TagTerm
from journeys.rules.predicates import predicate
from journeys.rules.walk import terms

MAX_TEXT = 200
MAX_LIST = 20

Finding = tuple[Any, bool]
Look = Callable[[Facts, datetime], Finding]


def explain(rule: Rule, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
    """One row a term in reading order: {"path": "rules.0", "term": the term as JSON, "actual": what was found, "result": bool}.

    `actual` is the field's value (long ones cut), the score, the consent state, whether the tag is there, or for events
    {"count", "newest_at"}. `sentence(parse_rule(row["term"]), …)` says the term in words.
    """
    rows = []
    for path, term, look in _looks(rule):
        actual, result = look(facts, as_of)
        rows.append({"path": path, "term": term, "actual": actual, "result": result})
    return rows


def explain_event(where: Rule, properties: Mapping[str, Any], as_of: datetime) -> list[dict[str, Any]]:
    """The same for a condition on one event (`matches`): `actual` is the property's value."""
    return [_on_event(path, term, properties, as_of) for path, term in terms(where)]


def _on_event(path: tuple[str, ...], term: Rule, properties: Mapping[str, Any], as_of: datetime) -> dict[str, Any]:
    actual = read(properties, path_of(term.field)) if isinstance(term, FieldTerm) else None
    return {"path": ".".join(path), "term": _json(term), "actual": _short(actual), "result": matches(term, properties, as_of)}


def _compiled(rule: Rule) -> tuple[tuple[str, dict[str, Any], Look], ...]:
    return tuple((".".join(path), _json(term), _LOOKS[type(term)](term)) for path, term in terms(rule))


def _json(term: Rule) -> dict[str, Any]:
    """Without defaults; only `where` has them, because an empty group without its `combinator` could not be told from nothing."""
    data = term.model_dump(mode="json", exclude_defaults=True)
    if isinstance(term, EventTerm) and term.where is not None:
        data["where"] = term.where.model_dump(mode="json")
    return data


def _field(term: FieldTerm) -> Look:
    test = test_of(predicate(term, instant_column=CONTACT_COLUMNS.get(term.field) == "datetime"))

    def look(facts: Facts, as_of: datetime) -> Finding:
        value = facts.value(term.field)
        return _short(value), test(value, as_of)

    return look


def _event(term: EventTerm) -> Look:
    compare, bound = COMPARE[term.count.operator], term.count.value

    def look(facts: Facts, as_of: datetime) -> Finding:
        found = facts.occurrences(term, as_of)
        return _seen(found), compare(found.count, bound) is term.did

    return look


def _consent(term: ConsentTerm) -> Look:
    def look(facts: Facts, as_of: datetime) -> Finding:
        state = facts.consent(term.consent, term.purpose) or "unknown"
        return state, (state == term.value) is (term.operator == "=")

    return look


def _score(term: ScoreTerm) -> Look:
    compare = COMPARE[term.operator]

    def look(facts: Facts, as_of: datetime) -> Finding:
        score = facts.score(term.score)
        return score, compare(score, term.value)

    return look


def _tag(term: TagTerm) -> Look:
    def look(facts: Facts, as_of: datetime) -> Finding:
        has = facts.has_tag(term.tag)
        return has, has is term.has

    return look


def _seen(found: Occurrences) -> dict[str, Any]:
    return {"count": found.count, "newest_at": None if found.newest_at is None else dates.text_of(found.newest_at)}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, list | tuple):
        return [_short(element) for element in value[:MAX_LIST]]
    if isinstance(value, Mapping):
        return {"keys": [_short(key) for key in list(value)[:MAX_LIST]]}
    return value


_LOOKS: Mapping[type, Callable[[Any], Look]] = {
    FieldTerm: _field,
    EventTerm: _event,
    MessageTerm: lambda term: _event(desugar(term)),
    ConsentTerm: _consent,
    ScoreTerm: _score,
    TagTerm: _tag,
}

_looks: Memo[Rule, tuple[tuple[str, dict[str, Any], Look], ...]] = Memo(_compiled)
