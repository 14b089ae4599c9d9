"""From bytes to a document: size, JSON, format version and shape, with every problem named by its place.

Does not judge whether the journey makes sense; that is `check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from journeys.document import MAX_DOCUMENT_BYTES, Journey
from journeys.errors import Invalid, Issue, TooLarge
from journeys.upgrade import upgrade

MAX_JSON_DEPTH = 60
"""A rule is at most ten groups deep, each two levels of JSON; nothing else in a document nests deeper."""


def read(source: str | bytes | Mapping[str, Any]) -> Journey:
    """The document in `source` (JSON text, or an object already decoded), lifted to the present format version.

    Raises:
        TooLarge: more than `MAX_DOCUMENT_BYTES` of text, or nested too deep.
        Invalid: not JSON, of an unknown format version, or not a journey document; lists every problem.
    """
    data = _decode(source) if isinstance(source, str | bytes) else source
    if not isinstance(data, Mapping):
        raise Invalid(f"expected a journey document (a JSON object), got: {type(data).__name__}")
    if _deeper_than(data, MAX_JSON_DEPTH):
        raise TooLarge(f"the document is nested more than {MAX_JSON_DEPTH} deep")
    upgraded = upgrade(data)
    try:
        return Journey.model_validate(upgraded)
    except ValidationError as error:
        issues = issues_of(error, upgraded)
        raise Invalid(f"this is not a valid journey document: {issues[0].message}", issues) from error


def _decode(text: str | bytes) -> Any:
    size = len(text.encode()) if isinstance(text, str) else len(text)
    if size > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"a journey document has at most {MAX_DOCUMENT_BYTES} bytes, got: {size}")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Invalid(f"this is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"this is not JSON: expected UTF-8, got another byte at position {error.start}") from error
    except RecursionError as error:
        raise TooLarge(f"the document is nested more than {MAX_JSON_DEPTH} deep") from error
    except ValueError as error:  # a number of more digits than Python reads, NaN or Infinity
        raise Invalid(f"this is not JSON: {str(error)[:200]}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _deeper_than(data: Any, limit: int) -> bool:
    level = [data]
    for _ in range(limit):
        level = [
            child for item in level if isinstance(item, Mapping | list) for child in (item.values() if isinstance(item, Mapping) else item)
        ]
        if not level:
            return False
    return True


def issues_of(error: ValidationError, data: Any, node_id: str | None = None) -> list[Issue]:
    """A validation error on `data` as issues with the dotted path of the field; never repeats what was typed in."""
    issues = [_issue(problem, data, node_id) for problem in error.errors(include_url=False, include_input=False)]
    return [issue for issue in issues if not _only_follows(issue, issues)]


def _only_follows(issue: Issue, issues: list[Issue]) -> bool:
    """A list is also too short when its only element could not be read; that helps nobody."""
    return issue.code == "too_short" and any((other.field or "").startswith(f"{issue.field}.") for other in issues)


def _issue(problem: Mapping[str, Any], data: Any, node_id: str | None) -> Issue:
    context = problem.get("ctx", {})
    values = {key: value for key, value in context.items() if isinstance(value, str | int | float)}
    values["problem"] = str(context.get("error", problem["msg"]))
    text = _SENTENCES.get(problem["type"], "{problem}")
    return Issue(code=problem["type"], text=text, values=values, node_id=node_id, field=_path(problem["loc"], data) or None)


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

_SENTENCES = {
    "missing": "This is needed.",
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
}
"""pydantic's kind of problem -> our sentence (the message id of the catalogues)."""
