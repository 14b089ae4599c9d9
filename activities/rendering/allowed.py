"""The HTML that a message may hold: which tags, which attributes, which addresses. A list of what is known, not of what is feared.

Says nothing about what the MJML compiler adds of its own (see `result`).
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit


def words(text: str) -> frozenset[str]:
    """A set of names out of a text."""
    return frozenset(text.split())


TAGS = words(
    """a abbr acronym address area article aside audio b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn
    dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd label legend li main map mark meta nav
    nobr ol p picture pre q rp rt ruby s samp section small source span strike strong style sub summary sup table tbody td tfoot th thead
    time tr tt u ul var video wbr xml"""
)
"""`xml` holds settings for Outlook in the head."""
OFFICE = re.compile(r"(?:v|o|w|m):[a-z][a-z0-9]*")
"""Outlook's own tags: drawings (VML) and settings."""
ATTRIBUTES = words(
    """abbr accesskey align alink alt autoplay axis background bgcolor border bordercolor cellpadding cellspacing char charset cite class
    clear color cols colspan compact content controls coords datetime dir download face for frame headers height hidden hreflang hspace
    href id inert itemid itemprop itemref itemscope itemtype label lang link longdesc loop low-src lowsrc margin marginheight marginwidth
    media muted name nohref noshade nowrap open playsinline poster preload property rel rev reversed role rows rowspan rules scope shape
    size sizes span src srcset start style summary tabindex target text title translate type usemap valign value vlink vspace width
    wrap xmlns"""
)
_PREFIXED = re.compile(r"(?:data|aria|x|mso)-[\w.:-]+|(?:xmlns|mc|v|o|w|m|xml):[\w-]+", re.IGNORECASE)
_OFFICE_ATTRIBUTE = re.compile(r"[a-z][\w:-]*", re.IGNORECASE)
META = frozenset({"content-type", "x-ua-compatible"})
"""`http-equiv` that only repeats what the message says anyway; others could lead away (`refresh`)."""
URL_ATTRIBUTES = words(
    """href src background background-url thumbnails-src base-url left-icon right-icon icon-wrapped-url icon-unwrapped-url action formaction
    poster xlink:href data cite longdesc lowsrc"""
)
SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms", "webcal"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]+")
_ACTIVE_CSS = re.compile(r"expression\s*\(|javascript:|vbscript:|-moz-binding|behavior\s*:", re.IGNORECASE)


def tag(name: str) -> bool:
    """Whether HTML of an author may hold this tag."""
    return name.lower() in TAGS or bool(OFFICE.fullmatch(name.lower()))


def attribute(tag_name: str, name: str) -> bool:
    """Whether an attribute may stand in this tag."""
    if runs_script(name):
        return False
    if OFFICE.fullmatch(tag_name.lower()):
        return bool(_OFFICE_ATTRIBUTE.fullmatch(name))
    return name.lower() in ATTRIBUTES or bool(_PREFIXED.fullmatch(name))


def runs_script(name: str) -> bool:
    """Whether an attribute of this name holds a script, whatever its tag (`onclick`, `v:onload`)."""
    return name.lower().rpartition(":")[2].startswith("on")


def css(text: str) -> bool:
    """Whether a piece of CSS only describes. Escapes and comments do not hide a word."""
    plain = re.sub(r"/\*(?:.*?\*/|.*)", "", html.unescape(text), flags=re.DOTALL)
    plain = re.sub(r"\\([0-9a-fA-F]{1,6})\s?", _unescaped, plain).replace("\\", "")
    return not _ACTIVE_CSS.search(plain)


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0x110000 else ""


def scheme(address: str) -> str:
    """The scheme of an address as a browser would read it (blanks and entities do not hide it); empty if there is none."""
    match = _SCHEME.match(_BLANKS.sub("", html.unescape(address)))
    return match[1].lower() if match else ""


def has_host(address: str) -> bool:
    """Whether a web address names a machine: `https://`, `https:///x`, `https://?a` and `https://https://e.org` do not."""
    try:
        parts = urlsplit(html.unescape(address).strip())
        twice = parts.netloc.rstrip(":") in ("http", "https") and parts.path.startswith("//")
        return bool(re.search(r"\w", parts.hostname or "")) and not twice and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def safe(address: str, *, picture: bool) -> bool:
    """Whether an address has no scheme or one that messages may hold; pictures may come along (`data:`, `cid:`)."""
    named = scheme(address)
    return not named or named in SCHEMES or (picture and address.lstrip().lower().startswith(("data:image/", "cid:")))


def says_nothing(address: str) -> bool:
    """Whether there is nothing after the scheme of an address (`tel:`, `mailto:`)."""
    return not html.unescape(address).partition(":")[2].strip(" /?")
