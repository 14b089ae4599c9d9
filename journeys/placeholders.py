"""Values of the contact and of the entry event inside short texts: `{{ contact.first_name }}`, `{{ trigger.cart_id }}`.

The look of Jinja without its power: a name between braces, with a fallback if need be (`|default("friend")`), nothing else.
Texts with logic (e-mails) are templates and are rendered by `activities`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from journeys.facts import Facts

_PLACE = re.compile(r"""\{\{\s*([A-Za-z_$][A-Za-z0-9_.$ -]{0,119}?)\s*(?:\|\s*default\(\s*["']([^"'{}]{0,200})["']\s*\)\s*)?\}\}""")


def fill(text: str, facts: Facts, quote: Callable[[str], str] = str) -> str:
    """`text` with every placeholder replaced by its value, passed through `quote`; what has no value becomes nothing."""
    return _PLACE.sub(lambda place: quote(_shown(_look_up(place, facts))), text)


def fill_json(data: Any, facts: Facts) -> Any:
    """`data` with every text in it filled; a text that is one placeholder and nothing else becomes the value as it is (number, list)."""
    if isinstance(data, dict):
        return {key: fill_json(value, facts) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [fill_json(value, facts) for value in data]
    if not isinstance(data, str):
        return data
    whole = _PLACE.fullmatch(data)
    return _look_up(whole, facts) if whole else fill(data, facts)


def names(data: Any) -> Iterable[str]:
    """Every name between braces, in order: `contact.plan`, `trigger.cart_id`, and whatever else the author wrote there."""
    if isinstance(data, str):
        yield from (place[1] for place in _PLACE.finditer(data))
    elif isinstance(data, dict):
        for value in data.values():
            yield from names(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from names(value)


def fields(data: Any) -> Iterable[str]:
    """The names as `Facts.value` knows them."""
    return (name.removeprefix("contact.") for name in names(data))


def _look_up(place: re.Match[str], facts: Facts) -> Any:
    value = facts.value(place[1].removeprefix("contact."))
    return place[2] if value in (None, "") and place[2] is not None else value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
