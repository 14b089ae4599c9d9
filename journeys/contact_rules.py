"""Rules outside journeys, as people hand them in: in segments and templates they ask about a contact alone, without a run. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError

from journeys.catalogue import Catalogue, closest
from journeys.check import unknown
from journeys.errors import Issue
from journeys.names import names_in_rule
from journeys.reading import issues_of
from journeys.rules import Rule, check_rule, parse_rule
from journeys.rules.model import stray_keys

MAX_STRAY = 20


@dataclass(frozen=True, slots=True)
class Askable:
    """What rules may ask for: fields and events, and of other nouns (segment, purpose, score, topic) the names there are."""

    catalogue: Catalogue
    names: tuple[tuple[str, frozenset[str]], ...] = ()


def checked(data: Any, askable: Askable | None, path: str = "") -> tuple[Rule | None, list[Issue]]:
    """The rule in a JSON object, None if it is none, and all that is wrong with it. `path`: where it stands, so that each issue tells its
    place (`rule.rules.0.field`). `askable`: what there is; None: not known, so no name is missed."""
    try:
        rule = parse_rule(data)
    except ValidationError as error:
        return None, [_placed(issue, path) for issue in issues_of(error, data, schema=_schema())]
    return rule, [*_strays(data, path), *(_unasked(rule, askable, path) if askable is not None else ())]


def missing(noun: str, name: str, names: Collection[str], place: str) -> Issue:
    """That there is no such thing as `name`; the nearest of `names` was probably meant."""
    return unknown(noun, name, closest(name, names), None, place)


def _placed(issue: Issue, path: str) -> Issue:
    return issue.model_copy(update={"field": ".".join(part for part in (path, issue.field) if part) or None})


def _strays(data: Any, path: str) -> Iterator[Issue]:
    for place, key, known in islice(stray_keys(data, path), MAX_STRAY):
        values = {"key": key[:64], "known": ", ".join(known)}
        yield Issue(code="rule_key", text="A rule knows no “{key}” here; expected {known}.", values=values, field=place)


def _unasked(rule: Rule, askable: Askable, path: str) -> Iterator[Issue]:
    """What it asks for and there is not."""
    yield from check_rule(rule, askable.catalogue, None, path, scope="contact")
    names: Mapping[str, Collection[str]] = dict(askable.names)
    for place, noun, name in names_in_rule(rule, path):
        if noun in names and name not in names[noun]:
            yield missing(noun, name, names[noun], place)


@cache
def _schema() -> Mapping[str, Any]:
    return TypeAdapter(Rule).json_schema()
