"""A strict reader for MJML with exact places: elements, attributes and texts, each with its offset.

It accepts what the MJML compiler accepts (HTML inside texts, `<br>`, `&nbsp;`, a bare `&`) and refuses the rest with a place,
because the compiler's own messages often have none. Entities, DTDs, processing instructions and includes do not exist here, so
nothing is expanded or fetched. Depth is limited: the compiler's recursion ended the process at 20,000 levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from activities.rendering.faults import Fault

MAX_DEPTH = 100
MAX_ELEMENTS = 20_000
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"})

_PIECE = re.compile(
    r"""<!--(?P<comment>.*?)-->
      |</(?P<closing>[A-Za-z][\w:.-]*+)\s*+>
      |<(?P<name>[A-Za-z][\w:.-]*+)(?P<attributes>(?:\s++[^\s=<>"'/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'))?+)*+)\s*+(?P<empty>/?)>
      |(?P<text>[^<]++)""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s=<>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?""")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value` is as written, entities included; None where the attribute stands alone."""

    name: str
    value: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    offset: int


@dataclass(slots=True)
class Element:
    """`offset` is that of `<`, `inner` and `inner_end` enclose the content."""

    name: str
    offset: int
    attributes: dict[str, Attribute] = field(default_factory=dict)
    children: list[Element | Text] = field(default_factory=list)
    inner: int = 0
    inner_end: int = 0

    def get(self, name: str) -> str:
        """The attribute as written, empty if it is missing."""
        attribute = self.attributes.get(name)
        return (attribute.value or "") if attribute else ""

    def elements(self) -> Iterator[Element]:
        """Child elements."""
        return (child for child in self.children if isinstance(child, Element))

    def walk(self) -> Iterator[Element]:
        """This element and all below, in order."""
        yield self
        for child in self.elements():
            yield from child.walk()


def read(source: str) -> Element:
    """The one element that `source` holds.

    Raises:
        Fault: the first mistake.
    """
    holder = Element("", 0)
    stack = [holder]
    count = at = 0
    while at < len(source):
        piece = _PIECE.match(source, at)
        if piece is None:
            raise _unreadable(source, at)
        if piece["text"] is not None:
            stack[-1].children.append(Text(piece["text"], at))
        elif piece["closing"] is not None:
            _close(stack, piece["closing"], at)
        elif piece["name"] is not None:
            count += 1
            _open(stack, _element(piece, at), piece["empty"] == "/", count)
        at = piece.end()
    if len(stack) > 1:
        raise Fault(stack[-1].offset, "tag_unclosed", "<{tag}> is never closed.", tag=stack[-1].name)
    return _only(holder)


def _element(piece: re.Match[str], at: int) -> Element:
    element = Element(piece["name"], at, inner=piece.end(), inner_end=piece.end())
    start = piece.start("attributes")
    for match in _ATTRIBUTE.finditer(piece["attributes"]):
        name = match[1]
        if name in element.attributes:
            raise Fault(start + match.start(), "attribute_twice", 'The attribute "{attribute}" stands here twice.', attribute=name)
        value = match[2] if match[2] is not None else match[3]
        element.attributes[name] = Attribute(name, value, start + match.start())
    return element


def _open(stack: list[Element], element: Element, empty: bool, count: int) -> None:
    if len(stack) > MAX_DEPTH:
        raise Fault(element.offset, "too_deep", "Expected at most {limit} levels of nesting.", limit=MAX_DEPTH)
    if count > MAX_ELEMENTS:
        raise Fault(element.offset, "too_many_tags", "Expected at most {limit} tags.", limit=MAX_ELEMENTS)
    stack[-1].children.append(element)
    if not empty and element.name not in VOID:
        stack.append(element)


def _close(stack: list[Element], name: str, at: int) -> None:
    if len(stack) == 1 or name in VOID:
        raise Fault(at, "tag_unopened", "</{tag}> closes nothing.", tag=name)
    element = stack.pop()
    if element.name != name:
        raise Fault(at, "tag_crossed", "Expected </{expected}> here, got </{tag}>.", expected=element.name, tag=name)
    element.inner_end = at


def _unreadable(source: str, at: int) -> Fault:
    head = source[at : at + 9].lower()
    if head.startswith(("<!doctype", "<![cdata[", "<?")):
        return Fault(at, "not_allowed", "Declarations such as <!DOCTYPE>, <![CDATA[ or <?…?> are not part of a template.")
    if head.startswith("<!--"):
        return Fault(at, "comment_unclosed", "This comment is never closed.")
    if re.match(r"</?[A-Za-z]", source[at:]):
        return Fault(at, "tag_malformed", 'This tag cannot be read; expected <name attribute="value">, with quotes.')
    return Fault(at, "bare_bracket", 'A "<" that starts no tag is written as &lt;.')


def _only(holder: Element) -> Element:
    elements = list(holder.elements())
    if not elements or elements[0].name != "mjml":
        raise Fault(elements[0].offset if elements else 0, "no_mjml", "A template starts with <mjml>.")
    strays = [child for child in holder.children if child is not elements[0] and (isinstance(child, Element) or child.text.strip())]
    if strays:
        raise Fault(strays[0].offset, "stray", "Nothing may stand outside <mjml>…</mjml>.")
    return elements[0]
