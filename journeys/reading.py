"""From bytes to a document: size, JSON, format version and shape, with every problem named by its place.

Does not judge whether the journey makes sense; that is `check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from math import isfinite
from typing import Any

from pydantic import ValidationError

from journeys import labels
from journeys.document import MAX_DOCUMENT_BYTES, Journey
from journeys.errors import Invalid, Issue, TooLarge, Unfilled, Unfit
from journeys.labels import EMPTY, at
from journeys.stray import stray_issues
from journeys.upgrade import upgrade

MAX_JSON_DEPTH = 60
"""A rule is at most ten groups deep, each two levels of JSON; nothing else in a document nests deeper."""


def read(source: str | bytes | Mapping[str, Any], *, strict: bool = False) -> Journey:
    """The document in `source` (JSON text, or an object already decoded), lifted to the present format version.

    `strict` is for what a person hands in: unknown keys in the rules of entry, exits and goal are refused; those in steps are for `check`.

    Raises:
        TooLarge: more than `MAX_DOCUMENT_BYTES` of text, or nested too deep.
        Invalid: not JSON, of an unknown format version, or not a journey document; lists every problem.
    """
    data = _decode(source) if isinstance(source, str | bytes) else source
    if not isinstance(data, Mapping):
        raise Invalid("Expected a journey document (a JSON object), got: {type}.", type=type(data).__name__)
    _look_through(data)
    upgraded = upgrade(data)
    try:
        journey = Journey.model_validate(upgraded)
    except ValidationError as error:
        issues = issues_of(error, upgraded, schema=_schema())
        raise Invalid(NO_DOCUMENT, issues, problem=issues[0]) from error
    if strict and (strays := stray_issues(journey, upgraded)):
        raise Invalid(NO_DOCUMENT, strays, problem=strays[0])
    return journey


NO_DOCUMENT = "This is not a valid journey document: {problem}"


def _decode(text: str | bytes) -> Any:
    size = len(text)  # of a text in characters, which are never more than its bytes
    if size > MAX_DOCUMENT_BYTES:
        raise TooLarge("A journey document has at most {limit} bytes, got: {size}.", limit=MAX_DOCUMENT_BYTES, size=size)
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Invalid(
            "This is not JSON: it cannot be read from line {line}, column {column} on.", line=error.lineno, column=error.colno
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid("This is not JSON: expected UTF-8, got another byte at position {position}.", position=error.start) from error
    except RecursionError as error:
        raise TooLarge("The document is nested more than {limit} deep.", limit=MAX_JSON_DEPTH) from error
    except ValueError as error:  # a number of more digits than Python reads, NaN or Infinity
        raise Invalid("This is not JSON: it holds NaN, Infinity or a number of too many digits.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _look_through(data: Any) -> None:
    """Refuses what JSON text can say but no database and no other reader can take: too deep, no numbers, half characters, NUL."""
    level = [data]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise TooLarge("The document is nested more than {limit} deep.", limit=MAX_JSON_DEPTH)


def _children(item: Any) -> Iterable[Any]:
    if isinstance(item, Mapping):
        return [*item, *item.values()]
    if isinstance(item, list):
        return item
    if isinstance(item, str) and _UNSTORABLE.search(item):
        raise Invalid("The document contains an invalid character (NUL, or half of a surrogate pair); remove it.")
    if isinstance(item, float) and not isfinite(item):
        raise Invalid("The document holds a number that is too large; write one below 1e308.")
    return ()


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@cache
def _schema() -> Mapping[str, Any]:
    return Journey.model_json_schema(by_alias=True)


def issues_of(error: ValidationError, data: Any, node_id: str | None = None, schema: Mapping[str, Any] | None = None) -> list[Issue]:
    """A validation error on `data` as issues with the dotted path of the field; never repeats what was typed in.

    With the JSON Schema of what `data` should be, an empty field is called by its title.
    """
    issues = [_issue(problem, data, node_id, schema or {}) for problem in error.errors(include_url=False, include_input=False)]
    return [issue for issue in issues if not _only_follows(issue, issues)]


def _only_follows(issue: Issue, issues: list[Issue]) -> bool:
    """A list is also too short when its only element could not be read; that helps nobody."""
    return issue.code == "too_short" and any((other.field or "").startswith(f"{issue.field}.") for other in issues)


def _issue(problem: Mapping[str, Any], data: Any, node_id: str | None, schema: Mapping[str, Any]) -> Issue:
    path = _path(problem["loc"], data)
    if isinstance(error := problem.get("ctx", {}).get("error"), Unfilled):
        field = f"{path}.{error.place}" if path else error.place
        return Issue(code=EMPTY, text=error.text, values=error.values, node_id=node_id, field=field)
    if _is_empty(problem["type"], at(data, path)):
        named = labels.of(schema, path)
        if named is not None:
            return named.empty(node_id, path)
    text, values = _said(problem)
    return Issue(code=problem["type"], text=text, values=values, node_id=node_id, field=path or None)


def _is_empty(problem: str, value: Any) -> bool:
    """Whether a problem is only that nothing was filled in."""
    return problem == "missing" or (problem not in ("extra_forbidden", "value_error") and value in (None, "", [], (), {}))


def _said(problem: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(message id, values) of a problem; the sentence of a validator of ours is its own message id."""
    context = problem.get("ctx", {})
    if isinstance(error := context.get("error"), Unfit):
        return error.text, error.values
    if "error" in context and problem["type"] not in _SENTENCES:
        return str(context["error"]).replace("{", "{{").replace("}", "}}"), {}
    if problem["type"] not in _SENTENCES:
        return "{problem}", {"problem": problem["msg"]}
    values = {key: value for key, value in context.items() if isinstance(value, str | int | float) and key not in ("error", "tag")}
    if "expected" in values:
        values["expected"] = str(values["expected"]).replace(" or ", ", ")  # pydantic's one English word inside a value
    return _SENTENCES[problem["type"]], values


def _path(places: Iterable[int | str], data: Any) -> str:
    """The dotted path as the author knows it: the names of choices in a union (`clock`, `Group`) are pydantic's, not in the document."""
    path: list[str] = []
    inside_choice = False
    for place in places:
        if isinstance(data, Mapping) and place == data.get("type") and not inside_choice:
            inside_choice = True
        elif _within(data, place):
            path.append(str(place))
            data, inside_choice = data[place], False
        elif not _is_choice(place):
            path.append(str(place))
            data = None
    return ".".join(path)


def _within(data: Any, place: int | str) -> bool:
    return place in data if isinstance(data, Mapping) else isinstance(data, list | tuple) and isinstance(place, int) and place < len(data)


def _is_choice(place: int | str) -> bool:
    return isinstance(place, str) and (place[:1].isupper() or "[" in place or place in _SCALARS)


_SCALARS = {"bool", "int", "float", "str", "none"}

_INSTANT = 'Must be a date and time with its zone, such as "2026-03-02T09:00:00Z".'

_SENTENCES = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field.",
    "string_too_short": "Too short: at least {min_length} characters.",
    "string_too_long": "Too long: at most {max_length} characters.",
    "string_pattern_mismatch": "Not in the expected form ({pattern}).",
    "too_short": "Too few: at least {min_length}.",
    "too_long": "Too many: at most {max_length}.",
    "greater_than": "Must be more than {gt}.",
    "greater_than_equal": "Must be at least {ge}.",
    "less_than": "Must be less than {lt}.",
    "less_than_equal": "Must be at most {le}.",
    "literal_error": "Must be one of {expected}.",
    "time_delta_parsing": 'Must be a duration such as "PT1H" or "P3D".',
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_type": _INSTANT,
    "timezone_aware": _INSTANT,
    "union_tag_not_found": "{discriminator} is missing: it says which kind this is.",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}.",
    "int_parsing": "Must be a whole number.",
    "int_type": "Must be a whole number.",
    "float_parsing": "Must be a number.",
    "float_type": "Must be a number.",
    "string_type": "Must be text.",
    "bool_type": "Must be true or false.",
    "bool_parsing": "Must be true or false.",
    "tuple_type": "Must be a list.",
    "list_type": "Must be a list.",
    "dict_type": "Must be an object.",
    "model_type": "Must be an object.",
    "secret_name": "Must be the name of a secret, without values filled in.",
}
"""pydantic's kind of problem -> our sentence (the message id of the catalogues)."""
