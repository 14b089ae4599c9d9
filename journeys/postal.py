"""Postal addresses: their parts, the one text in which they are stored, and what a card cannot be sent without. Pure.

It checks the form of an address, not whether somebody lives there: only the post knows that, and says so by returning the card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from journeys.spelling import one_line

FIELD = "postal_address"
"""The contact's field; its parts are `postal_address.city` and so on."""
PARTS: Mapping[str, int] = {"name": 60, "line1": 60, "line2": 60, "postal_code": 16, "city": 60, "region": 40, "country": 2}
"""Part -> how many characters it may have. `line1`: street and number; `country`: ISO 3166-1 alpha-2. All together fit into a mailbox's 320."""
BETWEEN = "|"

SYNONYMS: Mapping[str, str] = {
    "street": "line1", "street1": "line1", "address1": "line1", "line_1": "line1", "address_line1": "line1", "addressline1": "line1",
    "street2": "line2", "address2": "line2", "line_2": "line2", "address_line2": "line2", "addressline2": "line2",
    "postalcode": "postal_code", "postcode": "postal_code", "zip": "postal_code", "zipcode": "postal_code", "zip_code": "postal_code",
    "state": "region", "province": "region", "countrycode": "country", "country_code": "country", "recipient": "name", "town": "city",
}  # fmt: skip
"""How other programs call the parts. Source: Segment "Spec: Identify" (`address` has street, city, state, postalCode, country)."""


class Unreadable(ValueError):
    """It is no postal address. `reason`: wrong_type, too_long or invalid_postal_address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """The parts of an address; an empty one is unknown. Without a `name` the contact's own stands on the card."""

    name: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str = ""

    @property
    def text(self) -> str:
        """As it is stored: `Ada Lovelace | Bahnhofstrasse 1 | | 8001 | Zürich | | CH`; empty if nothing is known."""
        parts = self.parts
        return " ".join(f" {BETWEEN} ".join(parts.values()).split()) if any(parts.values()) else ""

    @property
    def parts(self) -> dict[str, str]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def key(self) -> str:
        """By what two spellings of an address are told to be one: letters and digits, in lower case. The name belongs to it, since many live at
        one number."""
        return BETWEEN.join(re.sub(r"[\W_]+", "", part.casefold()) for part in self.parts.values())

    def problem(self) -> str | None:
        """The first part without which, or as which, no card arrives; None: the address is complete."""
        rule = COUNTRIES.get(self.country, _ANYWHERE)
        needed = ("name", "line1", "city", "country", *rule.needs)
        missing = [part for part in PARTS if part in needed and not getattr(self, part)]
        if missing:
            return missing[0]
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            return "country"
        return None if rule.fits(self.postal_code) else "postal_code"

    def lines(self) -> list[str]:
        """As on a card, without the country: who, where, and the line of the place as its country writes it."""
        place = COUNTRIES.get(self.country, _ANYWHERE).place
        locality = " ".join(place.format(**self.parts).replace(" ,", ",").split()).strip(", ")
        last = [line.strip() for line in locality.split("/")]
        return [line for line in (self.name, self.line2, self.line1, *last) if line]


@dataclass(frozen=True, slots=True)
class Country:
    """What its post wants. `needs`: parts beyond name, street, place and country; `code`: the pattern of postal codes; `place`: the last line or
    lines, `/` between them."""

    code: str = r".{0,16}"
    needs: tuple[str, ...] = ("postal_code",)
    place: str = "{postal_code} {city}"

    def fits(self, postal_code: str) -> bool:
        return not postal_code or re.fullmatch(self.code, postal_code) is not None


_ANYWHERE = Country(needs=())
_CODE_AND_STATE = ("postal_code", "region")
_STATE_LINE = "{city}, {region} {postal_code}"

COUNTRIES: Mapping[str, Country] = {
    "AT": Country(r"\d{4}"),
    "AU": Country(r"\d{4}", _CODE_AND_STATE, "{city} {region} {postal_code}"),
    "BE": Country(r"\d{4}"),
    "CA": Country(r"[A-Z]\d[A-Z] \d[A-Z]\d", _CODE_AND_STATE, "{city} {region} {postal_code}"),
    "CH": Country(r"\d{4}"),
    "CZ": Country(r"\d{3} \d{2}"),
    "DE": Country(r"\d{5}"),
    "DK": Country(r"\d{4}"),
    "ES": Country(r"\d{5}"),
    "FI": Country(r"\d{5}"),
    "FR": Country(r"\d{5}"),
    "GB": Country(r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|GIR 0AA", place="{city} / {postal_code}"),
    "HU": Country(r"\d{4}"),
    "IE": Country(r"[A-Z]\d[\dW] [A-Z\d]{4}", (), "{city} / {postal_code}"),
    "IT": Country(r"\d{5}", place="{postal_code} {city} {region}"),
    "LI": Country(r"94(8[5-9]|9[0-8])"),
    "LU": Country(r"\d{4}"),
    "NL": Country(r"[1-9]\d{3} [A-Z]{2}"),
    "NO": Country(r"\d{4}"),
    "PL": Country(r"\d{2}-\d{3}"),
    "PT": Country(r"\d{4}-\d{3}"),
    "SE": Country(r"\d{3} \d{2}"),
    "SI": Country(r"\d{4}"),
    "SK": Country(r"\d{3} \d{2}"),
    "US": Country(r"\d{5}(-\d{4})?", _CODE_AND_STATE, _STATE_LINE),
}
"""Source: Universal Postal Union, "Postal addressing systems" of the countries. Of others only the common parts are asked for."""

_BLANK_BEFORE_LAST: Mapping[str, int] = {"CA": 3, "CZ": 2, "GB": 3, "IE": 4, "NL": 2, "SE": 2, "SK": 2}
"""Country -> so many characters of a postal code stand behind its blank."""
_DASH_BEFORE_LAST: Mapping[str, int] = {"PL": 3, "PT": 3}


def parse(text: str | None) -> PostalAddress:
    """The address that was stored as `text`; an empty one for what is none."""
    parts = [part.strip() for part in (text or "").split(BETWEEN)]
    return PostalAddress(*parts) if len(parts) == len(PARTS) else PostalAddress()


def cleaned(given: Mapping[str, Any]) -> dict[str, str]:
    """The parts that `given` names, in whatever spelling, as they are stored; others are left out. The country stays as it came.

    Raises:
        Unreadable: a part is no text, or too long.
    """
    found: dict[str, str] = {}
    for name, value in given.items():
        slug = re.sub(r"[\s-]+", "_", str(name).strip().lower())
        part = slug if slug in PARTS else SYNONYMS.get(slug)
        if part is not None and not found.get(part):
            found[part] = _part(part, value)
    return found


def _part(part: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("wrong_type")
    text = one_line(str(value)[:2_000].replace(BETWEEN, "/"))
    if part != "country" and len(text) > PARTS[part]:
        raise Unreadable("too_long")
    return text[:100]


def overlaid(present: str | None, parts: Mapping[str, str]) -> str | None:
    """The stored text of an address with some of its parts written anew; None if nothing is left."""
    address = replace(parse(present), **parts)
    return replace(address, postal_code=_spelled(address.postal_code, address.country)).text or None


def _spelled(code: str, country: str) -> str:
    """A postal code as its country writes it: `D-80331` is 80331, `sw1a1aa` is SW1A 1AA."""
    code = re.sub(rf"^(?:{country}|[A-Z]{{1,2}})[ -]+(?=\d)", "", code.upper()) if country not in ("IE", "GB", "CA") else code.upper()
    squeezed = re.sub(r"[ -]", "", code)
    for places, sign in ((_BLANK_BEFORE_LAST, " "), (_DASH_BEFORE_LAST, "-")):
        last = places.get(country)
        if last and len(squeezed) > last:
            return f"{squeezed[:-last]}{sign}{squeezed[-last:]}"
    return code
