"""What may be stored as free JSON about a contact: properties of events, attributes, proofs.

Untrusted values become values that both databases, orjson and the rules read alike: text without NUL and without lone
surrogates, dates in one spelling, numbers that fit into 64 bits, string keys. What is too deep or too large is refused, never cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from journeys.errors import TooLarge
from journeys.rules.dates import normalise

MAX_DEPTH = 12
MAX_KEY_CHARACTERS = 200
MAX_INTEGER = 2**63 - 1
MAX_ANSWER_DEPTH = 50
MAX_ATTRIBUTES = 500
MAX_ATTRIBUTES_BYTES = 65_536
"""Of one contact."""

Json = Any


def clean(value: object, depth: int = MAX_DEPTH, spell: Callable[[str], str] = normalise) -> Json:
    """`value` as storable JSON; `spell` is applied to every text in it.

    Raises:
        TooLarge: nested deeper than `depth`, or a key longer than 200 characters.
    """
    if isinstance(value, str):
        return spell(clean_text(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else str(value)[:400]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth <= 0:
        raise TooLarge("A value is nested deeper than {limit} levels.", limit=MAX_DEPTH)
    if isinstance(value, Mapping):
        return {_key(name): clean(inner, depth - 1, spell) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner, depth - 1, spell) for inner in value]
    return spell(clean_text(str(value)))


def clean_text(text: str) -> str:
    """`text` without NUL bytes (PostgreSQL refuses them) and without lone surrogates (UTF-8 refuses them)."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def clean_object(value: Mapping[str, object], max_bytes: int) -> dict[str, Json]:
    """`value` cleaned, if its JSON stays within `max_bytes`.

    Raises:
        TooLarge: the JSON is longer, a key is too long, or it is nested too deeply.
    """
    return _within(clean(value), max_bytes)


def clean_answer(value: Mapping[str, object], max_bytes: int) -> dict[str, Json]:
    """What a foreign program answered, cleaned; every text, dates too, keeps the spelling it came in.

    Raises:
        TooLarge: as for `clean_object`; an answer may nest 50 deep.
    """
    return _within(clean(value, MAX_ANSWER_DEPTH, str), max_bytes)


def _within(cleaned: dict[str, Json], max_bytes: int) -> dict[str, Json]:
    if size(cleaned) > max_bytes:
        raise TooLarge("An object is larger than {limit} bytes of JSON.", limit=max_bytes)
    return cleaned


def size(value: Json) -> int:
    """Bytes of the JSON of a cleaned value."""
    return len(orjson.dumps(value))


def same(one: Json, other: Json) -> bool:
    """Whether two cleaned values are the same JSON; unlike `==` this tells `true` from `1`."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _key(name: object) -> str:
    text = clean_text(str(name))
    if len(text) > MAX_KEY_CHARACTERS:
        raise TooLarge("A key is longer than {limit} characters.", limit=MAX_KEY_CHARACTERS)
    return text
