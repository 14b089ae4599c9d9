"""Who sends a marketing mail, and where they can be reached: every one of them says so, whatever its template forgot.

Source: 15 USC 7704(a)(5)(A)(iii) (CAN-SPAM: a valid physical postal address); § 5 DDG (imprint). What the template shows itself is not shown twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from locales import translator

_FOOTER = Markup(
    '<div style="max-width:600px;margin:0 auto;padding:16px 24px;font-family:Arial,sans-serif;font-size:13px;line-height:1.5;'
    'color:#52606d;text-align:center">{}</div>'
)
_LINK = Markup('<a href="{}" style="color:#52606d">{}</a>')
_END = "</body>"
_TAG = re.compile(r"""</?[a-zA-Z](?:[^"'<>]|"[^"]*"|'[^']*')*>""")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
MOST_PLACES = 20
MOST_BRACKETS = 5
"""Brackets before some words, of which the last that begins a tag counts: others stand in attributes."""


def imprinted(html: str, text: str, links: Mapping[str, str], values: Mapping[str, Any], language: str) -> tuple[str, str]:
    """HTML and text of a mail with the sender's postal address and imprint at their ends, where these do not stand in them already.

    `values["sender"]`: `address` in lines, `imprint` the address of a page; what is empty is left out. `links`: digest -> target of the links
    whose addresses in the mail are others, since they are tracked.
    """
    sender = values.get("sender") or {}
    address, imprint = _lines(str(sender.get("address") or "")), str(sender.get("imprint") or "")
    imprint = "" if imprint and imprint in links.values() else imprint
    return (
        _with_footer(html, address, imprint, language) if html else html,
        _with_lines(text, address, imprint, language),
    )


@lru_cache(maxsize=64)
def _lines(address: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in address.splitlines() if line.strip())


@lru_cache(maxsize=64)
def _escaped(lines: tuple[str, ...]) -> tuple[Markup, ...]:
    return tuple(map(escape, lines))


def _with_footer(html: str, address: tuple[str, ...], imprint: str, language: str) -> str:
    lines = _escaped(address)
    shown = [] if all(_is_read(html, line) for line in lines) else [Markup("<br>").join(lines)]
    if imprint and not _is_linked(html, imprint):
        shown.append(_LINK.format(imprint, translator(language)("Imprint")))
    if not shown:
        return html
    footer = _FOOTER.format(Markup("<br>").join(shown))
    before, end, after = html.rpartition(_END)
    return f"{before}{footer}{end}{after}" if end else f"{html}{footer}"


def _is_read(html: str, words: str) -> bool:
    """Whether somebody who reads the mail reads them: not in a comment, a tag, the head, or an element that is not displayed."""
    return any(not _in_comment(html, at) and at > html.find("<body") and _is_displayed(html, at) for at in _places(html, words))


def _is_displayed(html: str, at: int) -> bool:
    """Judges by the last tag before."""
    start = html.rfind("<", 0, at)
    for _ in range(MOST_BRACKETS):
        if start < 0:
            break
        if found := _TAG.match(html, start):
            return found.end() <= at and not _HIDDEN.search(found[0])
        start = html.rfind("<", 0, start)
    return True


def _is_linked(html: str, address: str) -> bool:
    return any(
        not _in_comment(html, at) and html[html.rfind("<", 0, at) :][:3].lower() in ("<a ", "<a\n")
        for at in _places(html, f' href="{escape(address)}"')
    )


def _in_comment(html: str, at: int) -> bool:
    return html.rfind("<!--", 0, at) > html.rfind("-->", 0, at)


def _places(html: str, words: str) -> Iterator[int]:
    """Where they stand, the first few."""
    at = html.find(words)
    for _ in range(MOST_PLACES):
        if at < 0:
            return
        yield at
        at = html.find(words, at + 1)


def _with_lines(text: str, address: tuple[str, ...], imprint: str, language: str) -> str:
    lines = [] if all(line in text for line in address) else list(address)
    if imprint and imprint not in text:
        lines.append(f"{translator(language)('Imprint')}: {imprint}")
    return "\n".join((text.rstrip("\n"), "", *lines, "")) if lines else text
