"""The filters of templates: a chosen few of Jinja's, and our own for money, dates, links and fallbacks.

Left out on purpose: `safe` (a contact's text would become HTML), `attr`, `format`, `center`, `tojson`, `random`, `map` over
functions and everything else that can act or grow. `docs/templates.md` lists them for authors.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from markupsafe import Markup, escape

from activities.rendering.allowed import SCHEMES, has_host, scheme
from activities.rendering.budget import MAX_TEXT, state
from activities.rendering.faults import RenderFailed
from activities.rendering.links import is_ours, link_digest, with_parameters
from activities.rendering.sandbox import MAX_NUMBER, plain_text

_KEPT = [
    "abs", "capitalize", "count", "dictsort", "escape", "e", "first", "groupby", "items", "last", "length", "list", "lower",
    "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title", "trim", "truncate",
    "unique", "upper", "urlencode", "wordcount",
]  # fmt: skip


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


_BLANKS = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")
MAX_VALUE = 1_024
"""Characters of one value of an approved template."""
MAX_COLOR = 64
"""Characters of what is worth remembering in a style."""
MAX_DIGITS = 40
"""Characters of a text that is read as a number."""
MAX_PLACES = 15
"""Decimal places, before or behind the point, to round to."""


def default(value: Any, fallback: Any = "") -> Any:
    """`{{ contact.first_name|default("friend") }}`: the fallback for what is missing, null or empty."""
    return fallback if isinstance(value, Undefined) or value is None or value == "" else value


@pass_context
def money(_context: Context, value: Any, currency: str = "EUR") -> str:
    """`{{ 1499.5|money("EUR") }}`: "1.499,50 €" in German."""
    return format_currency(_number(value, "money"), currency, locale=_locale())


@pass_context
def number(_context: Context, value: Any, decimals: int | None = None) -> str:
    """`{{ 1234.5|number(2) }}`: "1.234,50" in German."""
    shape = None if decimals is None else "#,##0" + ("." + "0" * min(decimals, 10) if decimals > 0 else "")
    return format_decimal(_number(value, "number"), shape, locale=_locale())


@pass_context
def percent(_context: Context, value: Any) -> str:
    """`{{ 0.25|percent }}`: "25 %" in German."""
    return format_percent(_number(value, "percent"), locale=_locale())


@pass_context
def date_(_context: Context, value: Any, shape: str = "medium") -> str:
    """`{{ trigger.delivery|date("long") }}`: "24. Dezember 2026"; takes dates and ISO texts; short, medium, long or full."""
    return format_date(_moment(value, "date"), _shape(shape), locale=_locale())


@pass_context
def time_(_context: Context, value: Any, shape: str = "short") -> str:
    """`{{ now|time }}`: "09:30", in the contact's time zone."""
    return format_time(_instant(value, "time"), _shape(shape), locale=_locale())


@pass_context
def datetime_(_context: Context, value: Any, shape: str = "medium") -> str:
    """`{{ now|datetime }}`: date and time in the contact's time zone."""
    return format_datetime(_instant(value, "datetime"), _shape(shape), locale=_locale())


def join(items: Any, separator: str = "", attribute: str | None = None) -> str:
    """`{{ tags|join(", ") }}`; with `attribute` joins that key of every item. Never longer than `MAX_TEXT`."""
    texts = [plain_text(item.get(attribute) if attribute and isinstance(item, Mapping) else item) for item in items]
    return _checked(str(separator), texts)


def _checked(separator: str, texts: list[str]) -> str:
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        raise RenderFailed("too_long", "join")
    return separator.join(texts)


def replace(value: Any, old: str, new: str) -> str:
    """`{{ name|replace("-", " ") }}`. Never longer than `MAX_TEXT`."""
    text, old, new = plain_text(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise RenderFailed("too_long", "replace")
    return text.replace(old, new)


def sum_(items: Iterable[Any], attribute: str | None = None) -> Any:
    """`{{ products|sum("price") }}`: numbers only."""
    return sum(_number(item.get(attribute) if attribute and isinstance(item, Mapping) else item, "sum") for item in items)


def map_(items: Iterable[Any], attribute: str) -> list[Any]:
    """`{{ products|map("name")|join(", ") }}`: that key of every item."""
    return [item.get(attribute) for item in items if isinstance(item, Mapping)]


def round_(value: Any, precision: Any = 0, method: str = "common") -> Any:
    """`{{ price|round(2) }}`; `common`, `ceil` or `floor`, to at most `MAX_PLACES` places."""
    numeric = _number(value, "round")
    if method not in ("common", "ceil", "floor") or not isinstance(precision, int) or abs(precision) > MAX_PLACES:
        raise RenderFailed("wrong_value", "round")
    if method == "common":
        return round(numeric, precision)
    scale = Decimal(10) ** precision if isinstance(numeric, Decimal) else 10**precision
    return (math.ceil if method == "ceil" else math.floor)(numeric * scale) / scale


def int_(value: Any, fallback: Any = 0, base: int = 10) -> Any:
    """`{{ "12"|int }}`: the fallback for what is no number, or a very long one."""
    return fallback if isinstance(value, str) and len(value) > MAX_DIGITS else FILTERS["int"](value, fallback, base)


def float_(value: Any, fallback: Any = 0.0) -> Any:
    """`{{ "1.5"|float }}`: the fallback for what is no number, or a very long one."""
    return fallback if isinstance(value, str) and len(value) > MAX_DIGITS else FILTERS["float"](value, fallback)


def striptags(value: Any) -> str:
    """The text without tags and comments, its blanks collapsed and its entities read."""
    return html.unescape(" ".join(_without_tags(plain_text(value)).split()))


def _without_tags(text: str) -> str:
    """Looks at every character once: from the first bracket that nothing closes, everything stays."""
    parts: list[str] = []
    at, comments = 0, True
    while (start := text.find("<", at)) >= 0:
        closing = "-->" if comments and text.startswith("<!--", start) else ">"
        end = text.find(closing, start)
        if end < 0 and closing == "-->":
            comments, closing, end = False, ">", text.find(">", start)
        if end < 0:
            break
        parts.append(text[at:start])
        at = end + len(closing)
    return "".join((*parts, text[at:]))


def nl2br(value: Any) -> Markup:
    """Line breaks as `<br>`."""
    return Markup("<br>").join(escape(value).splitlines())


@pass_context
def link(_context: Context, value: Any) -> Any:
    """An address to click on with the campaign parameters of its message, replaced by its signed address where clicks are tracked."""
    escaped = isinstance(value, Markup)
    address = safe_address(html.unescape(str(value)) if escaped else str(value))
    shown = _tracked(address)
    return Markup(escape(shown)) if escaped else shown


def _tracked(address: str) -> str:
    now = state.get()
    if address not in now.own:
        address = with_parameters(address, now.parameters, now.left_alone)
    if now.click is None or address in now.own or not is_ours(address, now.hosts, now.domains):
        return address
    digest = link_digest(address)
    now.links[digest] = address
    return str(now.click(digest))


def address(value: Any) -> Any:
    """An address that is loaded or shown, not tracked (`src`, `background`)."""
    escaped = isinstance(value, Markup)
    checked = safe_address(html.unescape(str(value)) if escaped else str(value))
    return Markup(escape(checked)) if escaped else checked


@lru_cache(maxsize=4096)
def safe_address(value: str) -> str:
    """`value` without blanks around it, if it is an address a message may hold; empty stays empty ("#").

    Raises:
        RenderFailed: another scheme than http, https, mailto, tel, sms and webcal, no host, or control characters.
    """
    text = value.strip()
    if not text or text.startswith("#"):
        return text or "#"
    named = scheme(text)
    if _CONTROL.search(text) or named not in SCHEMES:
        raise RenderFailed("unsafe_link")
    if named in ("http", "https") and not has_host(text):
        raise RenderFailed("unsafe_link")
    return text.replace(" ", "%20")


def one_value(value: Any, number: int = 0) -> str:
    """A value of an approved template: blanks and line breaks become single blanks, `MAX_VALUE` characters at most.

    Raises:
        RenderFailed: nothing is left. Source: Twilio, error 63013: WhatsApp takes no value that is empty, or has line breaks, tabs or more
        than four blanks in a row.
    """
    text = " ".join(_BLANKS.sub(" ", plain_text(value)).split())[:MAX_VALUE].strip()
    if not text:
        raise RenderFailed("empty_value", str(number))
    return text


def css(value: Any) -> str:
    """A value inside `style`: a colour, a length or an address, never the end of the declaration."""
    text = plain_text(value).strip()
    return _safe_again(text) if len(text) <= MAX_COLOR else _safe(text)


def _safe(text: str) -> str:
    if re.fullmatch(r"(?:rgb|rgba|hsl|hsla)\([\d\s.,%/]+\)", text):
        return text
    return re.sub(r"[^\w#.,%:/?&=+~@ -]", "", text)


_safe_again = lru_cache(maxsize=256)(_safe)
"""A mail asks for the same few colours some forty times."""


def _locale() -> Locale:
    return _parsed(state.get().locale)


@lru_cache(maxsize=256)
def _parsed(name: str) -> Locale:
    for candidate in (name, name.replace("_", "-").split("-")[0], "en"):
        try:
            return Locale.parse(candidate.replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            continue
    raise AssertionError("babel knows no English")


def _number(value: Any, filter_name: str) -> Any:
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _finite(value, filter_name)
    text = str(value) if isinstance(value, str) else ""
    try:
        if len(text) <= MAX_DIGITS:
            return _finite(Decimal(text), filter_name)
    except InvalidOperation:
        pass
    raise RenderFailed("wrong_value", filter_name)


def _finite(number: Any, filter_name: str) -> Any:
    """What can be written out: a number such as 1e999999 would be a million digits."""
    short = number.is_finite() and -MAX_DIGITS < number.adjusted() < MAX_DIGITS if isinstance(number, Decimal) else math.isfinite(number)
    if not short or abs(number) > MAX_NUMBER:
        raise RenderFailed("wrong_value", filter_name)
    return number


def _moment(value: Any, filter_name: str) -> date:
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, datetime):
        return value.astimezone(_zone()) if value.tzinfo else value
    if isinstance(value, date):
        return value
    try:
        text = str(value)
        return date.fromisoformat(text) if len(text) == 10 else _instant(text, filter_name)
    except ValueError:
        raise RenderFailed("wrong_value", filter_name) from None


def _instant(value: Any, filter_name: str) -> datetime:
    if isinstance(value, Undefined):
        str(value)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise RenderFailed("wrong_value", filter_name) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(_zone())


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo(state.get().zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _shape(shape: str) -> Any:
    if shape not in ("short", "medium", "long", "full"):
        raise RenderFailed("wrong_value", "format")
    return shape


OWN: dict[str, Callable[..., Any]] = {
    "default": default, "d": default, "money": money, "number": number, "percent": percent, "date": date_, "time": time_,
    "datetime": datetime_, "join": join, "replace": replace, "sum": sum_, "map": map_, "nl2br": nl2br, "link": link, "address": address,
    "css": css, "one_value": one_value, "string": plain_text, "round": round_, "int": int_, "float": float_, "striptags": striptags,
}  # fmt: skip
ALL: dict[str, Callable[..., Any]] = {name: FILTERS[name] for name in _KEPT} | OWN
