"""Values of the contact and of the entry event inside short texts: `{{ contact.first_name }}`, `{{ trigger.cart_id|default("none") }}`.

The look of Jinja without its power: a name between braces and a few filters that mean what they mean in templates, nothing else.
Texts with logic (e-mails) are templates and are rendered by `activities`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

_NAME = r"[A-Za-z_$][A-Za-z0-9_.$ -]{0,119}?"
_ARGUMENT = r"""(?:"[^"{}]{0,200}"|'[^'{}]{0,200}'|-?[0-9]{1,15}(?:\.[0-9]{1,15})?|true|false)"""
_FILTER = rf"\|\s*[a-z_]{{1,20}}\s*(?:\(\s*(?:{_ARGUMENT})?\s*\)\s*)?"
_PLACE = re.compile(rf"\{{\{{\s*({_NAME})\s*((?:{_FILTER}){{0,5}})\}}\}}")
_EACH_FILTER = re.compile(rf"\|\s*([a-z_]+)\s*(?:\(\s*({_ARGUMENT})?\s*\))?")
_BRACES = re.compile(r"\{\{[^{}]{0,400}\}\}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_COUPON = re.compile(r"""\bcoupon\s*\(\s*["']([a-z0-9][a-z0-9_-]{0,63})["']\s*\)""")
MOST_DECIMALS = 15


class Values(Protocol):
    """The part of `Facts` that a placeholder asks."""

    def value(self, name: str) -> Any: ...


def fill(text: str, facts: Values, quote: Callable[[str], str] = str) -> str:
    """`text` with every placeholder replaced by its value, passed through `quote`; what has no value becomes nothing."""
    return _PLACE.sub(lambda place: quote(_shown(_look_up(place, facts))) if _is_known(place) else place[0], text)


def fill_json(data: Any, facts: Values) -> Any:
    """`data` with every text in it filled; a text that is one placeholder and nothing else becomes the value as it is (number, list)."""
    if isinstance(data, dict):
        return {key: fill_json(value, facts) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [fill_json(value, facts) for value in data]
    if not isinstance(data, str):
        return data
    whole = _PLACE.fullmatch(data)
    return _look_up(whole, facts) if whole and _is_known(whole) else fill(data, facts)


def names(data: Any) -> Iterable[str]:
    """Every name between braces, in order: `contact.plan`, `trigger.cart_id`, and whatever else the author wrote there."""
    for text in _texts(data):
        yield from (place[1] for place in _PLACE.finditer(text))


def fields(data: Any) -> Iterable[str]:
    """The names as `Facts.value` knows them."""
    return (name.removeprefix("contact.") for name in names(data))


def unreadable(data: Any) -> Iterable[str]:
    """What stands between braces and is no placeholder: it stays in the text as it was written."""
    for text in _texts(data):
        for braces in _BRACES.findall(text):
            place = _PLACE.fullmatch(braces)
            if place is None or not _is_known(place):
                yield braces


def coupon_pools(text: str) -> tuple[str, ...]:
    """The pools of which a text with the power of a template takes a code, `{{ coupon("spring") }}`; each once."""
    return tuple(dict.fromkeys(_COUPON.findall(text))) if "coupon" in text else ()


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value)


def _is_known(place: re.Match[str]) -> bool:
    """Whether there are such filters, with or without an argument as they want it."""
    for found in _EACH_FILTER.finditer(place[2]):
        takes = _FILTERS.get(found[1])
        given = _read(found[2])
        if takes is None or not takes[0](given):
            return False
    return True


def _look_up(place: re.Match[str], facts: Values) -> Any:
    value = facts.value(place[1].removeprefix("contact."))
    for found in _EACH_FILTER.finditer(place[2]):
        value = _FILTERS[found[1]][1](value, _read(found[2]))
    return value


def _read(argument: str | None) -> Any:
    if argument is None:
        return None
    if argument[0] in "\"'":
        return argument[1:-1]
    if argument in ("true", "false"):
        return argument == "true"
    return float(argument) if "." in argument else int(argument)


def _default(value: Any, fallback: Any) -> Any:
    return fallback if value in (None, "") else value


def _in_text(change: Callable[[str], str]) -> Callable[[Any, Any], Any]:
    """A filter of texts: what is missing stays so, a list or an object is no text."""
    return lambda value, _: value if value is None or isinstance(value, dict | list) else change(_shown(value))


def _round(value: Any, decimals: Any) -> Any:
    """A number, or a text that is one, to so many decimals; what is no number has no value."""
    number = _as_number(value)
    rounded = None if number is None else round(number, decimals or 0)
    return (float(rounded) if decimals else int(rounded)) if isinstance(rounded, Decimal) else rounded


def _int(value: Any, _: Any) -> Any:
    number = _as_number(value)
    return None if number is None else int(number)


def _as_number(value: Any) -> int | float | Decimal | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 else None


def _is_nothing(argument: Any) -> bool:
    return argument is None


def _is_decimals(argument: Any) -> bool:
    return argument is None or (isinstance(argument, int) and not isinstance(argument, bool) and 0 <= argument <= MOST_DECIMALS)


_FILTERS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = {
    "default": (lambda argument: argument is not None, _default),
    "upper": (_is_nothing, _in_text(str.upper)),
    "lower": (_is_nothing, _in_text(str.lower)),
    "capitalize": (_is_nothing, _in_text(str.capitalize)),
    "trim": (_is_nothing, _in_text(str.strip)),
    "round": (_is_decimals, _round),
    "int": (_is_nothing, _int),
}
"""Name -> (which argument it takes, what it makes of a value). Each stands in templates, too, and gives the same there."""


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
