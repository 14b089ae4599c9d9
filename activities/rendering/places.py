"""Walks over HTML place by place: between tags, in the value of an attribute, in a style sheet. What stands in comments is walked over, too."""

from __future__ import annotations

import re
from collections.abc import Callable

_ATTRIBUTE = r"""\s+[^\s=<>"'/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?"""
_TAG = re.compile(rf"<(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:{_ATTRIBUTE})*)(?P<end>\s*/?>)")
_PAIR = re.compile(r"""(?P<lead>\s+)(?P<name>[^\s=<>"'/]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'))?""")
_STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)", re.DOTALL | re.IGNORECASE)
_OPAQUE = re.compile(
    rf"<!--.*?-->|<style\b.*?</style>|<title\b.*?</title>|<[A-Za-z][\w:.-]*(?:{_ATTRIBUTE})*\s*/?>", re.DOTALL | re.IGNORECASE
)

InText = Callable[[str], str]
InAttribute = Callable[[str, str, str], str]
"""(tag, attribute, value) -> value; both names in lower case."""


def over(html: str, in_text: InText, in_attribute: InAttribute, in_css: InText) -> str:
    """`html` with every place rewritten; an image without `alt` gets an empty one, so that nobody is read an address."""
    parts = [in_css(part) if index % 2 else _markup(part, in_text, in_attribute) for index, part in enumerate(_split_styles(html))]
    return "".join(parts)


def between_tags(html: str, change: InText) -> str:
    """`html` with the text between tags changed, and neither comments nor styles."""
    parts: list[str] = []
    at = 0
    for opaque in _OPAQUE.finditer(html):
        parts += (change(html[at : opaque.start()]), opaque.group())
        at = opaque.end()
    return "".join((*parts, change(html[at:])))


def _split_styles(html: str) -> list[str]:
    """Markup and style contents in turn; the style tags themselves belong to the markup."""
    parts: list[str] = []
    at = 0
    for style in _STYLE.finditer(html):
        parts += (html[at : style.end(1)], style[2])
        at = style.start(3)
    return [*parts, html[at:]]


def _markup(html: str, in_text: InText, in_attribute: InAttribute) -> str:
    parts: list[str] = []
    at = 0
    for tag in _TAG.finditer(html):
        parts += (in_text(html[at : tag.start()]), _tag(tag, in_attribute))
        at = tag.end()
    return "".join((*parts, in_text(html[at:])))


def _tag(tag: re.Match[str], in_attribute: InAttribute) -> str:
    name = tag["name"].lower()
    pairs = _PAIR.sub(lambda pair: _pair(name, pair, in_attribute), tag["attributes"])
    if name == "img" and not any(pair["name"].lower() == "alt" for pair in _PAIR.finditer(tag["attributes"])):
        pairs += ' alt=""'
    return f"<{tag['name']}{pairs}{tag['end']}"


def _pair(tag: str, pair: re.Match[str], in_attribute: InAttribute) -> str:
    value = pair["double"] if pair["double"] is not None else pair["single"]
    if value is None:
        return pair.group()
    if pair["single"] is not None:
        value = value.replace('"', "&quot;")
    return f'{pair["lead"]}{pair["name"]}="{in_attribute(tag, pair["name"].lower(), value)}"'
