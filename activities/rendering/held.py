"""Sets what authors write (HTML, styles, addresses, words in attributes) aside while the MJML compiler works, and puts it back as it was.

The compiler in use writes attributes of inner HTML as debug text, moves comments into Outlook conditionals and trips over what it does
not know. So it gets the components alone, one line an attribute, with a word (`hx0001xh`) for each piece of content.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from activities.rendering import allowed, conditionals, mend
from activities.rendering.components import ALL_ATTRIBUTES, COMPONENTS
from activities.rendering.markup import VOID, Comment, Element, Text
from activities.rendering.places import over
from activities.rendering.styles import Styles, styles
from activities.rendering.tokens import Swapped, Token, free_prefix

_FREE = allowed.URL_ATTRIBUTES | {"alt", "title", "srcset", "rel", "target", "usemap", "ico-open", "ico-close"}
_FREE |= {"icon-wrapped-alt", "icon-unwrapped-alt"}
"""Attributes whose value the compiler only copies."""
_NAMING = frozenset({"name", "css-class", "mj-class"})
"""Attributes whose value the compiler looks up or takes apart."""
_CLOSED = frozenset({"mj-social", "mj-navbar", "mj-accordion", "mj-accordion-element"})
"""Where the compiler takes no text; a word goes through as a comment (see `mend`)."""
_MENDED = frozenset({"gap"})
"""Attributes that `mend` stands in for."""
_ROWS = re.compile(r"\s*<(?:tr|tbody|thead|tfoot)\b", re.IGNORECASE)


Kind = Literal["html", "text", "css", "value", "added"]
"""`added`: nobody wrote it, it stands in for something the compiler cannot do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Content that waits under `word`; `text` may hold Jinja words."""

    word: str
    kind: Kind
    text: str
    element: Element


@dataclass
class Skeleton:
    """`source` is the MJML that the compiler gets. `order`: the words that must show, in the order of the text. `heroes`,
    `buttons`: see `mend`. `elements`: in the order of the tags of `source`."""

    source: str = ""
    pieces: dict[str, Piece] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    heroes: list[int] = field(default_factory=list)
    buttons: list[int] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    word: re.Pattern[str] = re.compile("")


def skeleton(root: Element, swapped: Swapped, preview: str = "") -> Skeleton:
    """The components of a template without what they hold. `preview` replaces what `mj-preview` says, if it says anything."""
    return _Writer(swapped, preview).written(root)


class _Writer:
    def __init__(self, swapped: Swapped, preview: str) -> None:
        self._swapped = swapped
        self._preview = preview
        self._prefix = free_prefix("hx", swapped.text)
        self._styles = Styles({}, {}, {})
        self._made = Skeleton(word=re.compile(rf"{self._prefix}\d{{4,}}xh"))

    def written(self, root: Element) -> Skeleton:
        head = next((one for one in root.elements() if one.name == "mj-head"), None)
        if self._preview and not (head and any(one.name == "mj-preview" for one in head.elements())):
            preview = Element("mj-preview", root.offset)
            if head is None:
                root = Element("mjml", root.offset, root.attributes, [Element("mj-head", root.offset, children=[preview]), *root.children])
            else:
                added = Element("mj-head", head.offset, head.attributes, [preview, *head.children])
                root = Element("mjml", root.offset, root.attributes, [added if one is head else one for one in root.children])
        self._styles = styles(root)
        self._made.source = self._element(root)
        return self._made

    def _element(self, element: Element, parent_classes: str = "") -> str:
        if is_inline(element):
            return ""
        self._made.elements.append(element)
        known = COMPONENTS[element.name].attributes if element.name in COMPONENTS else ALL_ATTRIBUTES
        counting = self._styles.of(element, parent_classes)
        resolve = self._styles.resolve(element, counting)
        values = mend.attributes(element.name, {name: value for name, value in counting.items() if name in known}, resolve)
        if element.name == "mj-hero":
            self._made.heroes.append(mend.beside(resolve))
        if element.name == "mj-button" and resolve("width").endswith("px"):
            self._made.buttons.append(mend.borders(resolve))
        if element.name == "mjml" and "lang" not in values:
            values["lang"] = self._swapped.add("{{ lang }}")
        pairs = "".join(self._pair(element, name, value) for name, value in values.items() if name not in _MENDED)
        return f"<{element.name}{pairs}>{self._inside(element, element.get('mj-class') or parent_classes)}</{element.name}>"

    def _inside(self, element: Element, classes: str) -> str:
        if element.name in COMPONENTS and COMPONENTS[element.name].html:
            return self._content(element)
        if element.name == "mj-attributes":
            return "".join(self._all(one) for one in element.elements() if one.name == "mj-all")
        return self._children(element, classes)

    def _all(self, element: Element) -> str:
        """The defaults of everything; the others are written into the components they are for."""
        self._made.elements.append(element)
        known = ((one.name, mend.with_units(one.name, one.value)) for one in element.attributes.values() if one.value is not None)
        return f"<mj-all{''.join(self._pair(element, name, value) for name, value in known if name in ALL_ATTRIBUTES)}></mj-all>"

    def _children(self, element: Element, classes: str) -> str:
        inside = sorted((*element.children, *element.comments), key=lambda one: one.offset)
        size = self._styles.resolve(element, self._styles.of(element, ""))("gap") if element.name == "mj-wrapper" else ""
        parts: list[str] = []
        before: list[str] | None = []  # the Jinja before the first component
        for child in inside:
            if isinstance(child, Element):
                parts.append(self._gap(element, size, before) if size else "")
                parts.append(self._element(child, classes))
                before = None
            else:
                parts.append(self._between(child, element))
                if before is not None and isinstance(child, Text):
                    before.append(child.text)
        return "".join(parts)

    def _gap(self, wrapper: Element, size: str, before: list[str] | None) -> str:
        """The room before a section; before the first one only from the second turn of a loop on."""
        room = mend.gap(size)
        if before is not None:
            if not any(token.inner.startswith("for ") for token in self._swapped.words_in("".join(before))):
                return ""
            room = self._swapped.add("{% if not loop.first %}") + room + self._swapped.add("{% endif %}")
        return f"<mj-raw>{self._hold('added', room, wrapper)}</mj-raw>"

    def _between(self, child: Text | Comment, parent: Element) -> str:
        words = self._words(child.text if isinstance(child, Text) else _comment(child, self._swapped))
        return "".join(f"<!--{word}-->" for word in self._swapped.word.findall(words)) if parent.name in _CLOSED else words

    def _words(self, text: str) -> str:
        """The Jinja between components."""
        found = [token for token in self._swapped.words_in(text) if token.kind != "comment"]
        self._made.order += [token.word for token in found]
        return "".join(token.word for token in found)

    def _pair(self, element: Element, name: str, value: str) -> str:
        if name in _FREE:
            return f' {name}="{self._hold("value", value, element) if value.strip() else ""}"'
        value = " ".join(html.unescape(value).split()).replace('"', "'")
        if name not in _NAMING and (re.search(r"[<>&\\]", value) or not value.isascii()):
            value = self._hold("value", html.escape(value), element)
        return f' {name}="{html.escape(value, quote=False)}"'

    def _content(self, element: Element) -> str:
        if element.name == "mj-preview" and self._preview:
            return self._preview
        text = inner_html(element, self._swapped)
        if element.name == "mj-raw" and not self._swapped.word.sub("", text).strip():
            return self._words(text)
        if not text.strip():
            return ""
        kind: Kind = "css" if element.name == "mj-style" else "html"
        word = self._hold("text" if element.name in ("mj-title", "mj-preview") else kind, text, element)
        if element.name not in ("mj-title", "mj-preview", "mj-style"):
            self._made.order.append(word)
        return word

    def _hold(self, kind: Kind, text: str, element: Element) -> str:
        word = f"{self._prefix}{len(self._made.pieces):04d}xh"
        self._made.pieces[word] = Piece(word, kind, text, element)
        return word


def is_inline(element: Element) -> bool:
    """Whether this is a style sheet that is written into the tags."""
    return element.name == "mj-style" and element.get("inline") == "inline"


def inner_html(element: Element, swapped: Swapped) -> str:
    """What stands in a component, put right where only the spelling is wrong: comments out (their Jinja stays where it reaches beyond
    them), `<div/>` closed, attributes without effect out, brackets in attributes as entities."""
    text, end = swapped.text, element.inner_end
    parts: list[str] = []
    for start, stop, new in sorted(_edits(element, swapped), reverse=True):
        parts += (text[stop:end], new)
        end = start
    return "".join(reversed((*parts, text[element.inner : end])))


def _edits(element: Element, swapped: Swapped) -> Iterator[tuple[int, int, str]]:
    for comment in element.comments:
        yield comment.offset, comment.end, _comment(comment, swapped)
    for child in element.elements():
        if child.name == "mj-raw":
            yield child.offset, child.inner, ""
            if not child.empty:
                yield child.inner_end, swapped.text.index(">", child.inner_end) + 1, ""
        else:
            yield from _tag_edits(child, swapped)
        yield from _edits(child, swapped)


def _tag_edits(element: Element, swapped: Swapped) -> Iterator[tuple[int, int, str]]:
    for one in element.attributes.values():
        if not allowed.attribute(element.name, one.name):
            yield one.offset, one.end, ""
        elif one.value and re.search("[<>]", one.value):
            start = one.offset + swapped.text[one.offset : one.end].rindex(one.value)
            yield start, start + len(one.value), one.value.replace("<", "&lt;").replace(">", "&gt;")
    if element.empty and element.name.lower() not in VOID and not allowed.OFFICE.fullmatch(element.name.lower()):
        slash = swapped.text.rindex("/", element.offset, element.inner)
        yield slash, element.inner, f"></{element.name}>"


def _comment(comment: Comment, swapped: Swapped) -> str:
    mark = conditionals.mark(comment.source, comment.offset)
    if mark.kind != "plain":
        return conditionals.written(mark)
    return "".join(token.word for token in reaching_out(swapped.words_in(comment.source)))


def reaching_out(tokens: list[Token]) -> list[Token]:
    """The blocks in a comment that do not begin and end there: those must stay, or the Jinja around would fall apart."""
    blocks = [token for token in tokens if token.kind == "block"]
    depth = 0
    for token in blocks:
        name = token.inner.split(None, 1)[0] if token.inner else ""
        depth += _STEP.get(name, 0)
        if depth < 0 or (depth == 0 and name in ("else", "elif")):
            return blocks
    return blocks if depth else []


_STEP = {"if": 1, "for": 1, "filter": 1, "with": 1, "endif": -1, "endfor": -1, "endfilter": -1, "endwith": -1}


def needs_row(piece: Piece, swapped: Swapped) -> bool:
    """Whether a piece that stands between table rows brings none of its own; a parser would move it out of the table."""
    shown = swapped.word.sub("", re.sub(r"<!--.*?-->", "", piece.text, flags=re.DOTALL))
    return not _ROWS.match(shown) if shown.strip() else not re.search(r"</?t(?:r|d|h|body)\b", piece.text, re.IGNORECASE)


def put_back(compiled: str, made: Skeleton, rows: frozenset[str]) -> str:
    """Compiled HTML with every piece where its word stands. `rows`: pieces that get a table row of their own."""

    def in_text(match: re.Match[str]) -> str:
        text = made.pieces[match.group()].text
        return f"<tr><td>{text}</td></tr>" if match.group() in rows else text

    def in_attribute(_tag: str, name: str, value: str) -> str:
        write = _in_css if name == "style" else _in_attribute
        return made.word.sub(lambda match: write(made.pieces[match.group()].text), value)

    def in_css(text: str) -> str:
        return made.word.sub(lambda match: _in_style(made.pieces[match.group()]), text)

    return over(compiled, lambda text: made.word.sub(in_text, text), in_attribute, in_css)


def _in_attribute(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _in_css(text: str) -> str:
    """A value in `style`: what would end a CSS address or declaration is spelled otherwise."""
    spelled = {"'": "%27", "(": "%28", ")": "%29", '"': "%22", "\\": "%5C", "<": "%3C", ">": "%3E"}
    plain = html.unescape(text.strip())
    if allowed.scheme(plain) or "/" in plain:
        plain = re.sub(r"[\s'()\"\\<>;]", lambda match: spelled.get(match.group(), "%20" if match.group() != ";" else "%3B"), plain)
    return html.escape(plain, quote=False).replace('"', "'")


def _in_style(piece: Piece) -> str:
    return piece.text if piece.kind == "css" else html.unescape(_in_css(piece.text))
