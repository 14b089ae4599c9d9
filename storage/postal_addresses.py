"""A postal address as it comes in, in the one text that is stored (`journeys.postal`): names of countries become their codes.

Syntax only: nobody is asked whether the place exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from journeys import postal
from journeys.postal import PARTS, Unreadable

LANGUAGES = ("en", "de", "fr", "it", "es", "nl", "pl", "pt")
"""In which the names of countries are read."""
_OTHERS: Mapping[str, str] = {
    "uk": "GB", "united kingdom": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "usa": "US",
    "united states of america": "US", "holland": "NL", "che": "CH", "deu": "DE", "aut": "AT", "fra": "FR", "ita": "IT", "gbr": "GB",
    "nld": "NL", "lie": "LI", "brd": "DE", "d": "DE", "a": "AT", "f": "FR", "i": "IT",
}  # fmt: skip


def read(value: Any, region: str | None = None) -> str | None:
    """The stored text of an address given as an object of parts or as that text; None for an empty one. `region` is the country where none is named.

    Raises:
        Unreadable: it is neither, or a part is too long or no text.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        found = postal.parse(value[:2_000])
        if not any(found.parts.values()):
            raise Unreadable("invalid_postal_address")
        value = found.parts
    if not isinstance(value, Mapping):
        raise Unreadable("wrong_type")
    parts = read_parts(value)
    if any(parts.values()) and not parts.get("country") and region:
        parts["country"] = region.upper()[:2]
    return postal.overlaid(None, parts)


def read_parts(given: Mapping[str, Any]) -> dict[str, str]:
    """Some parts of an address as they are stored, the country as its code.

    Raises:
        Unreadable: a part is too long or no text, or there is no such country.
    """
    parts = postal.cleaned(given)
    if parts.get("country"):
        parts["country"] = country_code(parts["country"])
    return parts


def country_code(name: str) -> str:
    """ISO 3166-1 alpha-2 of a country's code or name.

    Raises:
        Unreadable: there is none of that name.
    """
    low = name.strip().casefold()
    found = _countries().get(low)
    if found is None:
        raise Unreadable("invalid_postal_address")
    return found


def country_name(code: str, language: str) -> str:
    """What a country is called; its code where the language does not know it."""
    from babel import Locale, UnknownLocaleError

    try:
        names = Locale.parse(language.replace("-", "_")).territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    return str(names.get(code, code))


@cache
def _countries() -> Mapping[str, str]:
    """Name or code in lower case -> code."""
    from babel import Locale  # its tables cost some milliseconds, and most processes never see an address

    found: dict[str, str] = {}
    for language in LANGUAGES:
        names = {
            code: str(name) for code, name in Locale(language).territories.items() if len(code) == 2 and code not in ("ZZ", "EU", "UN")
        }
        found |= {name.casefold(): code for code, name in names.items()} | {code.casefold(): code for code in names}
    return {**found, **_OTHERS}


__all__ = ["PARTS", "Unreadable", "country_code", "country_name", "read", "read_parts"]
