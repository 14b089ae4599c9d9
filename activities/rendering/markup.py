"""A strict reader for MJML with exact places: elements, attributes and texts, each with its offset.

It accepts MJML with HTML inside texts (`<br>`, `&nbsp;`, a bare `&`) and refuses the rest with a place. A byte order mark, an XML
declaration and a plain doctype before `<mjml>` are passed over; a DTD, other processing instructions and includes do not exist
here, so nothing is expanded or fetched. Depth is limited: the compiler's recursion ended the process at 20,000 levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from activities.rendering.faults import Fault

MAX_DEPTH = 100
MAX_ELEMENTS = 20_000
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"})

_PIECE = re.compile(
    r"""<!--(?P<comment>.*?)-->
      |<!\[(?P<revealed>if\s[^\[\]<>]*+|endif)\s*+\]>
      |</(?P<closing>[A-Za-z][\w:.-]*+)\s*+>
      |<(?P<name>[A-Za-z][\w:.-]*+)(?P<attributes>(?:\s++[^\s=<>"'/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'))?+)*+)\s*+(?P<empty>/?)>
      |(?P<text>[^<]++)""",
    re.DOTALL | re.VERBOSE,
)
_PROLOG = re.compile(r"<\?xml\s[^<>?]*+\?>|<!doctype\s[^\[\]<>]*+>|\ufeff", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s=<>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?""")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value` is as written, entities included; None where the attribute stands alone. `end` is where it is over."""

    name: str
    value: str | None
    offset: int
    end: int = 0


@dataclass(frozen=True, slots=True)
class Comment:
    """`source` is the whole of it: `<!--…-->`, or a revealed conditional such as `<![if !mso]>`."""

    source: str
    offset: int

    @property
    def end(self) -> int:
        return self.offset + len(self.source)


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    offset: int


@dataclass(slots=True)
class Element:
    """`offset` is that of `<`, `inner` and `inner_end` enclose the content; an `empty` one was written `<name/>`.

    `comments` are those that stand directly in it."""

    name: str
    offset: int
    attributes: dict[str, Attribute] = field(default_factory=dict)
    children: list[Element | Text] = field(default_factory=list)
    inner: int = 0
    inner_end: int = 0
    empty: bool = False
    comments: list[Comment] = field(default_factory=list)

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
    return _only(read_pieces(source))


def read_pieces(source: str) -> Element:
    """All that `source` holds, as children of an element without a name.

    Raises:
        Fault: the first mistake.
    """
    holder = Element("", 0)
    stack = [holder]
    count = at = 0
    while at < len(source):
        piece = _PIECE.match(source, at) or _prolog(source, at, stack)
        if piece is None:
            raise _unreadable(source, at)
        if piece.re is _PROLOG:
            pass
        elif piece["text"] is not None:
            stack[-1].children.append(Text(piece["text"], at))
        elif piece["closing"] is not None:
            _close(stack, piece["closing"], at)
        elif piece["name"] is not None:
            count += 1
            _open(stack, _element(piece, at), piece["empty"] == "/", count)
        else:
            stack[-1].comments.append(Comment(piece.group(), at))
        at = piece.end()
    if len(stack) > 1:
        raise Fault(stack[-1].offset, "tag_unclosed", "<{tag}> is never closed.", tag=stack[-1].name)
    return holder


def fragment(source: str, offset: int) -> list[Element]:
    """The start tags in a piece of HTML that need not be balanced (what an Outlook conditional holds), without children.

    Raises:
        Fault: something that is neither text nor tag.
    """
    found: list[Element] = []
    at = 0
    while at < len(source):
        piece = _PIECE.match(source, at)
        if piece is None or piece["comment"] is not None or piece["revealed"] is not None:
            fault = _unreadable(source, at)
            fault.offset += offset
            raise fault
        if piece["name"] is not None:
            element = _element(piece, at)
            moved = {name: replace(one, offset=one.offset + offset) for name, one in element.attributes.items()}
            found.append(Element(element.name, at + offset, moved))
        at = piece.end()
    return found


def _prolog(source: str, at: int, stack: list[Element]) -> re.Match[str] | None:
    """What other tools write before `<mjml>`."""
    return _PROLOG.match(source, at) if len(stack) == 1 and not any(stack[0].elements()) else None


def _element(piece: re.Match[str], at: int) -> Element:
    element = Element(piece["name"], at, inner=piece.end(), inner_end=piece.end())
    start = piece.start("attributes")
    for match in _ATTRIBUTE.finditer(piece["attributes"]):
        name = match[1]
        if name in element.attributes:
            raise Fault(start + match.start(), "attribute_twice", 'The attribute "{attribute}" appears twice here.', attribute=name)
        value = match[2] if match[2] is not None else match[3]
        element.attributes[name] = Attribute(name, value, start + match.start(), start + match.end())
    return element


def _open(stack: list[Element], element: Element, empty: bool, count: int) -> None:
    if len(stack) > MAX_DEPTH:
        raise Fault(element.offset, "too_deep", "Expected at most {limit} levels of nesting.", limit=MAX_DEPTH)
    if count > MAX_ELEMENTS:
        raise Fault(element.offset, "too_many_tags", "Expected at most {limit} tags.", limit=MAX_ELEMENTS)
    element.empty = empty
    stack[-1].children.append(element)
    if not empty and element.name.lower() not in VOID:
        stack.append(element)


def _close(stack: list[Element], name: str, at: int) -> None:
    if len(stack) == 1 or name.lower() in VOID:
        raise Fault(at, "tag_unopened", "</{tag}> closes nothing.", tag=name)
    element = stack.pop()
    if element.name.lower() != name.lower():
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
    strays = [child for child in holder.children if child is not elements[0] and _says_something(child)]
    if strays:
        raise Fault(strays[0].offset, "stray", "Nothing is allowed outside <mjml>…</mjml>.")
    return elements[0]


def _says_something(child: Element | Text) -> bool:
    return isinstance(child, Element) or bool(child.text.replace("\ufeff", "").strip())
