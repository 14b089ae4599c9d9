"""Who sends a marketing mail, and where they can be reached: every one of them says so, whatever its template forgot.

Source: 15 USC 7704(a)(5)(A)(iii) (CAN-SPAM: a valid physical postal address); § 5 DDG (imprint). What the template shows itself is not shown twice.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    shown = [] if all(line in html for line in lines) else [Markup("<br>").join(lines)]
    if imprint and f'href="{escape(imprint)}"' not in html:
        shown.append(_LINK.format(imprint, translator(language)("Imprint")))
    if not shown:
        return html
    footer = _FOOTER.format(Markup("<br>").join(shown))
    before, end, after = html.rpartition(_END)
    return f"{before}{footer}{end}{after}" if end else f"{html}{footer}"


def _with_lines(text: str, address: tuple[str, ...], imprint: str, language: str) -> str:
    lines = [] if all(line in text for line in address) else list(address)
    if imprint and imprint not in text:
        lines.append(f"{translator(language)('Imprint')}: {imprint}")
    return "\n".join((text.rstrip("\n"), "", *lines, "")) if lines else text
