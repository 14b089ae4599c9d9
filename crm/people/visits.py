"""What a call of a website or an app says of how its sender came: pages, referrers and campaign parameters as they may be kept. Pure.

Source: Segment, "Common Fields": `context.campaign`, `context.page`, `context.referrer`; Google Analytics, "Campaigns and traffic sources", for the
five UTM parameters. Addresses of pages are kept as host and path: their queries hold e-mail addresses and tokens. So may their paths and the parameters: a part
of a path that looks like either is left out (`…`), and so is such a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from journeys.spelling import one_line

UTM = ("source", "medium", "campaign", "term", "content")
MAX_PARAMETER = 200
MAX_PAGE = 500
MAX_READ = 4_096
"""Characters of an address that are looked at."""
MAX_PARAMETERS = 100
"""A query with more is not looked at."""
APPS = ("android-app", "ios-app")
LEFT_OUT = "…"
_ADDRESS = re.compile(r"@|%40", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_TOKEN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|eyJ[\w-]{10,64}", re.IGNORECASE)
"""A UUID, the beginning of a JSON Web Token; with twenty letters and digits on end what lets somebody in, and what no page is called."""


@dataclass(frozen=True, slots=True)
class Visit:
    """How somebody came to a page. `parameters`: those of `UTM` that were given. `internal`: from another page of the same site, so that
    nobody came."""

    parameters: Mapping[str, str]
    referrer: str | None = None
    landing_page: str | None = None
    internal: bool = False


def read(context: Mapping[str, Any], properties: Mapping[str, Any]) -> Visit | None:
    """What a call says, in `context` or (a page call) in `properties`; None if it tells no page, referrer or campaign."""
    page = context.get("page")
    page = page if isinstance(page, Mapping) else properties
    campaign, referred = context.get("campaign"), context.get("referrer")
    if not campaign and not referred and not any(key in page for key in ("url", "path", "referrer", "search")):
        return None
    url, referrer = _text(page.get("url")), _text(page.get("referrer")) or _referred(referred)
    parameters = _campaign(campaign) or parameters_of(url) or parameters_of(f"?{_text(page.get('search')).removeprefix('?')}")
    here, there = host_of(url), host_of(referrer)
    internal = bool(here and there and _same_site(here, there))
    landing = place(url) or _path(_text(page.get("path")))
    return Visit(parameters, None if internal else place(referrer), landing, internal)


def place(url: str) -> str | None:
    """Host and path of the address of a page (or an app): `https://www.example.org/sale/?mail=…` -> `www.example.org/sale`. None if it is none."""
    parts = _split(url)
    if parts is None:
        return None
    host, path = parts[0], _path(parts[1]) or ""
    return one_line(host + path.rstrip("/"))[:MAX_PAGE] or None


def host_of(url: str) -> str:
    """Empty for what is no address of a page."""
    parts = _split(url)
    return parts[0] if parts else ""


def parameters_of(url: str) -> dict[str, str]:
    """The UTM parameters of an address, by the names of `UTM`."""
    if "utm_" not in url.lower():
        return {}
    query = url[:MAX_READ].partition("?")[2].partition("#")[0]
    try:
        pairs = parse_qsl(query, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return {}
    given = {name.lower(): value for name, value in reversed(pairs)}
    return _kept({name: given.get(f"utm_{name}") for name in UTM})


def _campaign(given: Any) -> dict[str, str]:
    """Segment's `context.campaign`, where the campaign itself is called `name`."""
    return _kept({name: given.get("name" if name == "campaign" else name) for name in UTM}) if isinstance(given, Mapping) else {}


def _kept(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: kept for name, value in given.items() if (kept := parameter(value))}


def parameter(value: Any) -> str:
    """A campaign parameter as it is kept; empty for none, and for what looks like an address or a token."""
    text = one_line(_text(value))
    return "" if _is_private(text) else text[:MAX_PARAMETER].rstrip()


def _is_private(text: str) -> bool:
    """Whether it looks like an address or a token."""
    runs = (found.group() for found in _RUN.finditer(text))
    return bool(_ADDRESS.search(text) or _TOKEN.search(text)) or any(not run.isalpha() and not run.isdigit() for run in runs)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:MAX_READ]
    return str(value)[:MAX_PARAMETER] if isinstance(value, int) and not isinstance(value, bool) else ""


def _referred(given: Any) -> str:
    """Segment's `context.referrer`, an object whose page is `url` or `link`."""
    if isinstance(given, str):
        return given[:MAX_READ]
    return (_text(given.get("url")) or _text(given.get("link"))) if isinstance(given, Mapping) else ""


@lru_cache(maxsize=2_048)
def _split(url: str) -> tuple[str, str] | None:
    """(host in lower case, path); None for what is no page."""
    try:
        parts = urlsplit(url[:MAX_READ].strip())
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https", *APPS) or not host or _ADDRESS.search(host):
        return None
    return host[:253], parts.path


def _path(path: str) -> str | None:
    """A path without what must not be kept, in readable letters."""
    if not path.startswith("/"):
        return None
    parts = (unquote(part) for part in path.partition("?")[0].partition("#")[0].split("/"))
    return one_line("/".join(LEFT_OUT if _is_private(part) else part for part in parts))[:MAX_PAGE]


def _same_site(one: str, other: str) -> bool:
    """Whether two hosts are one site: the same, or one lies under the other."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
