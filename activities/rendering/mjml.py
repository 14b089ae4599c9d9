"""From one MJML source to the HTML template of one language: everything that is done once per version, not per mail.

The order is: set Jinja aside, read and check, preheader and title, MJML compiler, CSS inlining where asked for, then one pass over
the HTML that puts the Jinja back, each piece escaped for the place where it stands, and wraps links. Nothing is fetched: fonts
of third parties are loaded by readers only where the author names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import css_inline
from markupsafe import escape
from mjml import mjml2html

from activities.rendering import check
from activities.rendering.faults import Fault
from activities.rendering.markup import Element, Text, read
from activities.rendering.plain import plain
from activities.rendering.tokens import Swapped, Token

PADDING = "&#847;&zwnj;&nbsp;" * 60
"""After a preheader, so that mail clients do not go on with the first words of the body."""

_ATTRIBUTE = r"""\s+[^\s=<>"'/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?"""
_TAG = re.compile(rf"<(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:{_ATTRIBUTE})*)(?P<end>\s*/?>)")
_PAIR = re.compile(r"""(?P<lead>\s+)(?P<name>[^\s=<>"'/]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'))?""")
_STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)", re.DOTALL)
_OPAQUE = re.compile(rf"<!--.*?-->|<style\b.*?</style>|<title\b.*?</title>|<[A-Za-z][\w:.-]*(?:{_ATTRIBUTE})*\s*/?>", re.DOTALL)
_LINK_TAGS = frozenset({"a", "area", "v:roundrect", "v:rect"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """`html` and `text` are Jinja templates; `links` are the link targets as written, in order, each once."""

    html: str
    text: str
    links: list[str]
    root: Element


def compile_mjml(swapped: Swapped, preheader: Swapped | None) -> tuple[Compiled | None, list[Fault]]:
    """The compiled template, or the faults (offsets of the swapped text) that prevent it."""
    try:
        root = read(swapped.text)
    except Fault as fault:
        return None, [_explained(fault, swapped)]
    faults = list(check.faults(root, swapped))
    if faults:
        return None, faults
    try:
        html, links = _html(root, swapped, preheader)
    except Fault as fault:
        return None, [fault]
    return Compiled(html, plain(root, swapped), links, root), []


def _explained(fault: Fault, swapped: Swapped) -> Fault:
    """A tag that cannot be read because of the Jinja between its attributes says so."""
    tag = swapped.text[fault.offset :].partition(">")[0]
    if fault.code == "tag_malformed" and swapped.word.search(tag):
        return check.jinja_between(fault.offset)
    return fault


def _html(root: Element, swapped: Swapped, preheader: Swapped | None) -> tuple[str, list[str]]:
    source, styles = _prepared(root, swapped, preheader)
    try:
        html = mjml2html(source, fonts={})
    except ValueError as error:
        raise Fault(root.offset, "mjml", "The MJML compiler refuses this template: {problem}", problem=str(error)[:200]) from None
    if styles:
        html = _inlined(html, styles, swapped)
    html = html.replace("<title></title>", "<title>jxsubject</title>", 1)
    _all_kept(root, swapped, html, source)
    rewriter = _Rewriter(swapped, preheader)
    html = rewriter.rewritten(html).replace("jxpadding", PADDING, 1).replace("<title>jxsubject</title>", "<title>{{ _subject }}</title>", 1)
    return _with_pixel(html), rewriter.links


def _prepared(root: Element, swapped: Swapped, preheader: Swapped | None) -> tuple[str, str]:
    """The source as the MJML compiler gets it, and the CSS to inline."""
    edits: list[tuple[int, int, str]] = []
    head = next((child for child in root.elements() if child.name == "mj-head"), None)
    styles, preview = [], None
    for element in head.elements() if head else ():
        if element.name == "mj-style" and element.get("inline") == "inline":
            styles.append(_content(element))
            edits.append((element.inner, element.inner_end, ""))
        if element.name == "mj-preview":
            preview = element
    edits += _preview_edits(root, head, preview, preheader)
    if "lang" not in root.attributes:
        edits.append((root.offset + len("<mjml"), root.offset + len("<mjml"), ' lang="jxlang"'))
    text = swapped.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text, "\n".join(styles)


def _preview_edits(
    root: Element, head: Element | None, preview: Element | None, preheader: Swapped | None
) -> Iterator[tuple[int, int, str]]:
    if preheader is not None and preheader.text.strip():
        words = "jxpreheader" + "jxpadding"
        if preview is not None:
            yield preview.inner, preview.inner_end, words
        elif head is not None and head.inner_end > head.inner:
            yield head.inner, head.inner, f"<mj-preview>{words}</mj-preview>"
        else:
            yield root.inner, root.inner, f"<mj-head><mj-preview>{words}</mj-preview></mj-head>"
    elif preview is not None and preview.inner_end > preview.inner:
        yield preview.inner_end, preview.inner_end, "jxpadding"


def _content(element: Element) -> str:
    return "".join(child.text for child in element.children if isinstance(child, Text))


def _inlined(html: str, styles: str, swapped: Swapped) -> str:
    """Applies `mj-style inline`. The inliner reads HTML5 and would move loose words out of tables; comments stay where they are."""
    shielded = _between_tags(html, lambda text: swapped.word.sub(lambda m: f"<!--{m.group()}-->", text))
    inliner = css_inline.CSSInliner(
        inline_style_tags=False, keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False, extra_css=styles
    )
    return re.sub(rf"<!--({swapped.word.pattern})-->", r"\1", inliner.inline(shielded))


def _between_tags(html: str, change: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = 0
    for opaque in _OPAQUE.finditer(html):
        parts += (change(html[at : opaque.start()]), opaque.group())
        at = opaque.end()
    return "".join((*parts, change(html[at:])))


def _all_kept(root: Element, swapped: Swapped, html: str, source: str) -> None:
    """Jinja that the compiler dropped was at a place that produces no HTML: the author must hear of it."""
    kept = set(swapped.word.findall(html))
    for word, token in swapped.tokens.items():
        if token.kind != "comment" and word not in kept and word in source:
            raise Fault(swapped.text.index(word), "jinja_lost", "Jinja at this place never reaches the message.")


def _with_pixel(html: str) -> str:
    head, body, tail = html.rpartition("</body>")
    return f"{head}{{{{ _pixel }}}}{body}{tail}"


class _Rewriter:
    """Puts Jinja back into compiled HTML, place by place."""

    def __init__(self, swapped: Swapped, preheader: Swapped | None) -> None:
        self._swapped = swapped
        self._preheader = preheader
        self.links: list[str] = []

    def rewritten(self, html: str) -> str:
        if re.search(r"\{[{%#]", html):
            raise Fault(
                0, "brace", 'The compiled HTML holds "{{{{", "{{%" or "{{#" that is no Jinja; put a space between the braces of your CSS.'
            )
        parts = [self._style(part) if index % 2 else self._markup(part) for index, part in enumerate(_split_styles(html))]
        html = "".join(parts).replace("jxlang", "{{ lang }}")
        return html.replace("jxpreheader", self._preheader_text(), 1)

    def _preheader_text(self) -> str:
        return self._preheader.restore(str(escape(self._preheader.text.strip()))) if self._preheader else ""

    def _style(self, css: str) -> str:
        return self._swapped.restore(css, _in_css)

    def _markup(self, html: str) -> str:
        parts: list[str] = []
        at = 0
        for tag in _TAG.finditer(html):
            parts += (self._swapped.restore(html[at : tag.start()]), self._tag(tag))
            at = tag.end()
        return "".join((*parts, self._swapped.restore(html[at:])))

    def _tag(self, tag: re.Match[str]) -> str:
        name = tag["name"].lower()
        pairs = _PAIR.sub(lambda pair: self._pair(name, pair), tag["attributes"])
        return f"<{tag['name']}{pairs}{tag['end']}"

    def _pair(self, tag: str, pair: re.Match[str]) -> str:
        value = pair["double"] if pair["double"] is not None else pair["single"]
        if value is None:
            return pair.group()
        if pair["single"] is not None:
            value = value.replace('"', "&quot;")
        return f'{pair["lead"]}{pair["name"]}="{self._value(tag, pair["name"].lower(), value)}"'

    def _value(self, tag: str, name: str, value: str) -> str:
        if name == "style":
            return self._swapped.restore(value, _in_css)
        restored = self._swapped.restore(value)
        if name == "href" and tag in _LINK_TAGS:
            return self._link(value, restored)
        if name in check.URL_ATTRIBUTES and restored != value:
            return "{% filter address %}" + restored + "{% endfilter %}"
        return restored

    def _link(self, value: str, restored: str) -> str:
        if value.startswith("#") or (restored == value and check.scheme(value) not in ("http", "https")):
            return restored
        if restored not in self.links:
            self.links.append(restored)
        return "{% filter link %}" + restored + "{% endfilter %}"


def _split_styles(html: str) -> list[str]:
    """Markup and style contents in turn; the style tags themselves belong to the markup."""
    parts: list[str] = []
    at = 0
    for style in _STYLE.finditer(html):
        parts += (html[at : style.end(1)], style[2])
        at = style.start(3)
    return [*parts, html[at:]]


def _in_css(token: Token) -> str:
    return "{{ (" + token.inner + ")|css }}" if token.kind == "expression" else token.source
