"""What one cell of a spreadsheet says: numbers, dates, truth, addresses and tags as people write them.

Pure functions of the text and the choices of a `Reading`. What cannot be understood, or could mean two things, raises `CellProblem`
with a code of `crm.imports.imports.REASONS` and never with the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from journeys.rules.dates import normalise
from journeys.spelling import one_line

DateOrder = Literal["ymd", "dmy", "mdy"]
Decimal = Literal[".", ","]

YES = frozenset({"yes", "y", "true", "t", "1", "ja", "j", "x", "wahr", "on", "oui", "si", "vrai"})
NO = frozenset({"no", "n", "false", "f", "0", "nein", "falsch", "off", "non", "faux"})
NO_YEAR = 1604
"""The year of a birthday that names none. A leap year, so that 29 February has a place.

Source: what Apple's Contacts writes into BDAY for the same purpose."""


class CellProblem(Exception):
    """A cell that cannot be taken: `reason` is a code; no content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# Numbers

_SPACES = dict.fromkeys(map(ord, " \u00a0\u2007\u2009\u202f'’`"))
_CURRENCY = re.compile(r"^(?:[A-Z]{0,2}[€$£¥]|[A-Z]{3}(?=[\s\d-])|Fr\.|kr\.?)\s*|\s*(?:[€$£¥%]|[A-Z]{3}|kr\.?)$")
_BODY = re.compile(r"[0-9.,]*[0-9][0-9.,]*")
_SCIENTIFIC = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?[eE]([+-]?[0-9]{1,3})")
_GROUPS = {sign: re.compile(rf"[0-9]{{1,3}}(?:\{sign}[0-9]{{3}})+") for sign in ".,"}
WORDS_OF_TRUTH = frozenset({"yes", "no", "true", "false", "ja", "nein", "wahr", "falsch"})
"""Words that are nothing but an answer, other than 1 or x."""
MAX_DIGITS = 15
"""More cannot be kept as a number without changing the last ones."""


def number(text: str, decimal: Decimal | None) -> int | float:
    """A number: `1'234.50`, `CHF 12.-`, `(1,234.50)` (negative), `12-`, `12.5 %` (12.5), `1.5E+03`.

    `decimal` is the decimal sign; without it only what cannot be read in two ways is read.

    Raises:
        CellProblem: invalid_number, ambiguous_number (`1,234` without a decimal sign).
    """
    negative, body = _bare(text)
    if found := _SCIENTIFIC.fullmatch(body):
        value = float(f"{found[1]}.{found[2] or 0}e{found[3]}")
        if not abs(value) < 1e300:
            raise CellProblem("invalid_number")
        return _signed(int(value) if value.is_integer() and abs(value) < 10**MAX_DIGITS else value, negative)
    if not _BODY.fullmatch(body) or sum(map(str.isdigit, body)) > MAX_DIGITS:
        raise CellProblem("invalid_number")
    if body.isdigit():
        return _signed(int(body), negative)
    signs = {decimal} if decimal else _possible(body)
    if len(signs) > 1:
        raise CellProblem("ambiguous_number")
    sign = next(iter(signs), "," if body.endswith(",") else ".")  # `12,` as well as `12.`
    whole, _, part = body.partition(sign)
    group = "," if sign == "." else "."
    if group in whole:
        if not _GROUPS[group].fullmatch(whole) or whole.startswith("0"):
            raise CellProblem("invalid_number")
        whole = whole.replace(group, "")
    if not (whole or part) or (part and not part.isdigit()) or (whole and not whole.isdigit()):
        raise CellProblem("invalid_number")
    return _signed(float(f"{whole or 0}.{part}") if part else int(whole), negative)


def decimal_signs(text: str) -> frozenset[str] | None:
    """Which decimal signs a cell allows; None if it is no number, or none that says anything."""
    if len(text) > 40:
        return None
    _, body = _bare(text)
    if not _BODY.fullmatch(body) or not ("." in body or "," in body):
        return None
    return frozenset(_possible(body)) or None


def _possible(body: str) -> set[str]:
    """The decimal signs under which digits with points and commas are a number."""
    found = set()
    for sign, group in ((".", ","), (",", ".")):
        whole, mark, part = body.partition(sign)
        if (not part or part.isdigit()) and (whole.isdigit() or not whole or _GROUPS[group].fullmatch(whole)):
            if group in whole and whole.startswith("0"):
                continue  # 0,123 groups nothing
            if mark and not part:
                continue
            found.add(sign)
    return found


def _bare(text: str) -> tuple[bool, str]:
    """Whether a number is negative, and what is left of it without sign, currency, percent sign and spaces."""
    body = text.strip().replace("\u2212", "-")
    negative = body.startswith("(") and body.endswith(")")
    body = body[1:-1] if negative else body
    body = _CURRENCY.sub("", _CURRENCY.sub("", body.strip())).strip()
    if body.endswith((".-", ".–", ".—")):
        body = body[:-2]
    if body[:1] in ("+", "-"):
        negative, body = negative or body[0] == "-", body[1:]
    elif body[-1:] == "-":
        negative, body = True, body[:-1]
    return negative, _CURRENCY.sub("", body.strip()).translate(_SPACES)


def _signed(value: int | float, negative: bool) -> int | float:
    return -value if negative else value


# Dates

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "mär": 3, "mae": 3, "mrz": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "okt": 10, "oct": 10, "nov": 11, "dez": 12, "dec": 12,
}  # fmt: skip
_CLOCK = re.compile(
    r"[T ,]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?(?:\s?([AaPp])\.?[Mm]\.?)?(?:\s?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?(?:\s?Uhr)?$"
)
_PARTS = re.compile(r"([0-9]{1,4})([./-]) ?([0-9]{1,2})\2 ?([0-9]{1,4})")
_DAY_AND_MONTH = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\.?")
_NAMED = re.compile(r"([0-9]{1,2})\.?[ -]([A-Za-zä]{3,10})\.?[ ,-]+([0-9]{2}|[0-9]{4})|([A-Za-zä]{3,10})\.? ([0-9]{1,2}),? ([0-9]{4})")
_SERIAL = re.compile(r"([1-9][0-9]{4})(?:[.,]([0-9]{1,12}))?")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")


def day_or_moment(text: str, order: DateOrder | None, zone: str = "UTC") -> date:
    """A day (`date`) or, with a time of day, an aware instant (`datetime`, in UTC).

    Read are ISO 8601, `31.12.2025` (points: day first, unless `order` says otherwise), `12/31/2025` by `order`, names of months in
    German and English, `20251231`, Excel's serial days (10000 to 73050: 1927 to 2099) and days without a year (`12/31`, `--12-31`).
    Two-digit years: 00 to 29 are 2000 to 2029, 30 to 99 are 1930 to 1999 (Source: Excel's rule). Times without zone are in `zone`.

    Raises:
        CellProblem: invalid_date, ambiguous_date (both orders would do and none is chosen).
    """
    text = text.strip()
    if len(text) > 60:
        raise CellProblem("invalid_date")
    if found := _SERIAL.fullmatch(text):
        return _of_serial(int(found[1]), float(f"0.{found[2]}") if found[2] else 0.0, zone)
    clock = _CLOCK.search(text)
    day = _day(text[: clock.start()] if clock else text, order)
    if clock is None:
        return day
    return _moment(day, clock, zone)


def date_orders(text: str) -> frozenset[str] | None:
    """Which orders of day, month and year a cell allows, all three if it says the same in any; None if it is no date.

    Stricter than `day_or_moment`, since nobody has said that this is a date: no bare digits, and years from 1850 to 2150.
    """
    if not 5 <= len(text) <= 40 or text.isdigit() or _SERIAL.fullmatch(text):
        return None
    if (found := _DAY_AND_MONTH.fullmatch(text)) and found[2] != "/":
        return None
    ways: dict[str, date] = {}
    for order in _BOTH:
        try:
            way = day_or_moment(text, order)
        except CellProblem:
            continue
        if 1850 <= way.year <= 2150 or way.year == NO_YEAR:
            ways[order] = way
    if len(ways) == 2 and ways["dmy"] == ways["mdy"]:
        return frozenset({"ymd", *ways})
    if len(ways) == 2 and "." in text.split(":")[0]:
        return frozenset({"dmy"})  # points are written where the day comes first
    return frozenset(ways) or None


def is_serial(text: str) -> bool:
    """Whether a cell may be a day as Excel counts them."""
    return _SERIAL.fullmatch(text) is not None


_BOTH: tuple[DateOrder, ...] = ("dmy", "mdy")


def _of_serial(days: int, part: float, zone: str) -> date:
    """Source: Excel counts days from 30 December 1899."""
    if not 10_000 <= days <= 73_050:
        raise CellProblem("invalid_date")
    day = date(1899, 12, 30) + timedelta(days=days)
    if not part:
        return day
    seconds = timedelta(seconds=round(part * 86_400))
    return (datetime.combine(day, time(), ZoneInfo(zone)).replace(tzinfo=None) + seconds).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _day(text: str, order: DateOrder | None) -> date:
    text = text.strip()
    if found := re.fullmatch(r"--([0-9]{2})-?([0-9]{2})", text):
        return _made(NO_YEAR, int(found[1]), int(found[2]))
    if found := _COMPACT.fullmatch(text):
        return _made(*map(int, found.groups()))
    if found := _NAMED.fullmatch(text):
        day, name, year = (found[1], found[2], found[3]) if found[1] else (found[5], found[4], found[6])
        month = _MONTHS.get(name.lower()[:3])
        if month is None:
            raise CellProblem("invalid_date")
        return _made(_year(year), month, int(day))
    if found := _PARTS.fullmatch(text):
        first, sign, second, third = found.groups()
        if len(first) >= 3:
            if len(first) != 4:
                raise CellProblem("invalid_date")
            return _made(int(first), int(second), int(third))
        return _ordered(first, second, third, order or ("dmy" if sign == "." else None))
    if found := _DAY_AND_MONTH.fullmatch(text):
        return _ordered(found[1], found[3], str(NO_YEAR), ("dmy" if found[2] == "." else None) if order in (None, "ymd") else order)
    raise CellProblem("invalid_date")


def _ordered(first: str, second: str, third: str, order: DateOrder | None) -> date:
    match order:
        case "dmy":
            return _made(_year(third), int(second), int(first))
        case "mdy":
            return _made(_year(third), int(first), int(second))
        case "ymd":
            return _made(_year(first), int(second), int(third))
    ways = {way for way in (_try(_year(third), int(second), int(first)), _try(_year(third), int(first), int(second))) if way}
    if len(ways) != 1:
        raise CellProblem("ambiguous_date" if ways else "invalid_date")
    return ways.pop()


def _try(year: int, month: int, day: int) -> date | None:
    try:
        return _made(year, month, day)
    except CellProblem:
        return None


def _year(text: str) -> int:
    if len(text) == 4:
        return int(text)
    if len(text) != 2:
        raise CellProblem("invalid_date")
    return int(text) + (2000 if int(text) < 30 else 1900)


def _made(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise CellProblem("invalid_date") from None


def _moment(day: date, clock: re.Match[str], zone: str) -> datetime:
    hour, minute, second, half, offset = clock.groups()
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            raise CellProblem("invalid_date")
        hours = hours % 12 + (12 if half in "Pp" else 0)
    try:
        local = datetime.combine(day, time(hours, int(minute), int(second or 0)))
        if offset is None:
            return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        signed = offset if offset[0] in "+-" else "+00:00"
        return datetime.fromisoformat(f"{local.isoformat()}{signed[:3]}:{signed[-2:]}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise CellProblem("invalid_date") from None


# Truth, tags, addresses


def truth(text: str) -> bool:
    """Raises:
    CellProblem: invalid_boolean."""
    word = slug_of(text)
    if word not in YES | NO:
        raise CellProblem("invalid_boolean")
    return word in YES


def tags(text: str) -> list[str]:
    """Tags with commas, semicolons or `|` between them; each may be quoted (`"VIP","R&D; new"`), and none is longer than 120 characters.

    Raises:
        CellProblem: too_long.
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    parts = (quoted.replace('""', '"') or plain for quoted, plain in _TAG.findall(inner))
    found = dict.fromkeys(tag for part in parts if (tag := one_line(part)))
    if any(len(tag) > 120 for tag in found):
        raise CellProblem("too_long")
    return list(found)


_TAG = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,;|]*))\s*(?:[,;|]|$)')
_INSIDE = re.compile(r"[^<>]*<\s*([^<>\s]+@[^<>\s]+)\s*>")
_BETWEEN = re.compile(r"\s*(?:;|,|\s:::\s|\n)\s*")


def address(text: str) -> tuple[str, bool]:
    """The first e-mail address of a cell (`Ada <ada@example.org>`, `a@example.org; b@example.org`), and whether there are more."""
    parts = [part for part in _BETWEEN.split(text) if part]
    if len(parts) > 1 and sum("@" in part for part in parts) < 2:
        parts = [text]  # "Lovelace, Ada" <ada@example.org>
    first = parts[0] if parts else text
    found = _INSIDE.fullmatch(first.strip())
    first = found[1] if found else first.strip()
    return first.removeprefix("mailto:"), len(parts) > 1


def check_phone(text: str) -> str:
    """A phone number as it stands, `00` before a country code as `+`.

    Raises:
        CellProblem: digits_lost (`4.91512E+12`: a spreadsheet has rounded it, and no guess brings it back).
    """
    if _SCIENTIFIC.fullmatch(text):
        raise CellProblem("digits_lost")
    return re.sub(r"^00(?=[1-9])", "+", text)


def check_id(text: str) -> str:
    """An id of another system as it stands.

    Raises:
        CellProblem: digits_lost (`1.2345E+15`; `12E5` is an id).
    """
    if _ROUNDED.fullmatch(text):
        raise CellProblem("digits_lost")
    return text


_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}")


def region_of(numbers: Iterable[str]) -> str | None:
    """The country of phone numbers without a country code, if the others in the column leave no doubt: all of those are of one country,
    and every national number would be a valid one there."""
    import phonenumbers  # its tables cost 60 ms and most processes never see a number

    regions: set[str | None] = set()
    national: list[str] = []
    for text in dict.fromkeys(numbers):
        text = re.sub(r"^00(?=[1-9])", "+", text)
        if _SCIENTIFIC.fullmatch(text) or len(text) > 64 or sum(map(str.isdigit, text)) < 5:
            continue
        if not text.startswith("+"):
            national.append(text)
            continue
        with suppress(phonenumbers.NumberParseException):
            regions.add(phonenumbers.region_code_for_number(phonenumbers.parse(text)))
    if len(regions) != 1 or not national:
        return None
    region = regions.pop()
    try:
        fits = all(phonenumbers.is_valid_number(phonenumbers.parse(text, region)) for text in national)
    except phonenumbers.NumberParseException:
        return None
    return region if fits else None


def salesforce_id(text: str) -> str:
    """The 18 characters of a Salesforce id of 15, whose letters differ only in case: the last three say which are capitals.

    Example: 0035g00000AbCdE -> 0035g00000AbCdEAAV. Source: Salesforce, "Convert 15-character IDs to 18-character IDs".
    """
    if not re.fullmatch(r"[A-Za-z0-9]{15}", text):
        return text
    parts = (text[start : start + 5] for start in (0, 5, 10))
    return text + "".join(_CHECK[sum(1 << place for place, sign in enumerate(part) if sign.isupper())] for part in parts)


_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def typed(type: str | None, text: str, decimal: Decimal | None, order: DateOrder | None, zone: str) -> Any:
    """A cell as the type of its field wants it: dates as `YYYY-MM-DD`, instants in the form that sorts; text stays text.

    Raises:
        CellProblem: the text is no such value, or could be two.
    """
    match type:
        case "number":
            return number(text, decimal)
        case "boolean":
            return truth(text)
        case "date" | "datetime":
            found = day_or_moment(text, order, zone)
            if not isinstance(found, datetime):
                return found.isoformat()
            return found.astimezone(ZoneInfo(zone)).date().isoformat() if type == "date" else normalise(found)
        case _:
            return text


@lru_cache(maxsize=4_096)
def slug_of(text: str) -> str:
    """Lower case, words joined by `_`, accents dropped: `Größe (cm)` -> `groesse_cm`."""
    text = text.lower().translate(_UMLAUTS)
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    joined = re.sub(r"[^a-z0-9.]+", "_", ascii_text)
    return re.sub(r"(?<![a-z0-9])\.+|\.+(?![a-z0-9])|_+", "_", joined).strip("_")[:100].rstrip("._").replace("__", "_")


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
