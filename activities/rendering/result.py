"""Reads the compiled mail as a mail program does (an HTML5 parser, once as everybody, once as Outlook) and compares it with what went in.

What is checked: every piece of content and all Jinja between components show once and in their order, nothing shows that nobody wrote,
the two ends of a condition or loop lie in the same element, conditionals are closed, no tag or attribute is left that is not on the
list, and each piece's tags, attributes and text are those of the source. Places are those of the source.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from activities.rendering import allowed, conditionals
from activities.rendering.faults import Fault
from activities.rendering.held import Piece, Skeleton
from activities.rendering.markup import Element, Text
from activities.rendering.places import between_tags
from activities.rendering.tokens import Swapped

_UNSEEN = re.compile(r"[\s\xa0\u00ad\u034f\u200a-\u200f\u2060\ufeff☰⊗]+")
"""Blanks, what takes no room, and the signs with which the compiler opens and closes a menu: they are looked past on both sides."""
_IMPLIED = frozenset({"tbody", "tr", "colgroup", "p", "head", "body", "html"})
"""Tags that an HTML parser adds where they may be left out."""
_REOPENED = allowed.words("a b big code em font i nobr s small strike strong tt u")
"""Tags that an HTML parser opens anew after a block. Source: WHATWG HTML, "the list of active formatting elements"."""
_AROUND: Mapping[str, str] = {"tbody": "<table><tbody>", "table": "<table>", "tr": "<table><tbody><tr>"}

_SETTING = re.compile(r"style|title|script|w:.*|o:(?!p$).*")
"""Tags whose text does not show."""
_SHIELD = "="
"""Begins the comments that we put around words, which no other does."""
_AROUND_TAGS = (("div", ()), ("table", ()))
_TABLES = frozenset({"mj-table", "table", "tbody", "thead", "tfoot", "tr"})

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a parser finds, in order. `comments`: (shielded word, tag and identity of the parent); `text` is what shows, without blanks."""

    tags: list[tuple[str, Attributes]]
    comments: list[tuple[str, str, int]]
    text: str


def see(source: str) -> Seen:
    """A whole mail as an HTML5 parser reads it."""
    return _seen(LexborHTMLParser(source).root)


def _seen(root: LexborNode | None) -> Seen:
    tags: list[tuple[str, Attributes]] = []
    comments: list[tuple[str, str, int]] = []
    texts: list[str] = []
    for node in root.traverse(include_text=True) if root else ():
        parent = node.parent
        if node.is_comment_node:
            content = node.comment_content or ""
            if content.startswith(_SHIELD):
                comments.append((content.removeprefix(_SHIELD), (parent.tag or "") if parent else "", _level(parent)))
        elif node.is_text_node:
            if parent is None or not _SETTING.fullmatch(parent.tag or ""):
                texts.append(node.text_content or "")
        elif node.tag:
            tags.append((node.tag, tuple(sorted((name, value or "") for name, value in node.attributes.items()))))
    return Seen(tags, comments, bare("".join(texts)))


def _level(parent: LexborNode | None) -> int:
    """Names the element in which a comment stands; a table and the body that a parser adds to it are one."""
    if parent is not None and parent.tag == "tbody" and parent.parent is not None:
        return parent.parent.mem_id
    return parent.mem_id if parent is not None else 0


def bare(text: str) -> str:
    """A text without what is looked past."""
    return _UNSEEN.sub("", text)


def _shielded(source: str, words: Callable[[str], bool], made: Skeleton, swapped: Swapped) -> str:
    """`words` that stand alone between tags as comments, which a parser leaves where they are."""
    pattern = re.compile(f"{made.word.pattern}|{swapped.word.pattern}")

    def as_comment(match: re.Match[str]) -> str:
        return f"<!--{_SHIELD}{match.group()}-->" if words(match.group()) else match.group()

    return between_tags(source, lambda text: pattern.sub(as_comment, text))


def _all_words(_word: str) -> bool:
    return True


def _silent(swapped: Swapped) -> Callable[[str], bool]:
    """Whether a word prints nothing."""
    return lambda word: word in swapped.tokens and swapped.tokens[word].kind != "expression"


def contexts(compiled: str, made: Skeleton, swapped: Swapped) -> dict[str, str]:
    """Word -> the tag in which its piece will stand."""
    return {content: tag for content, tag, _ in see(_shielded(compiled, _all_words, made, swapped)).comments if content in made.pieces}


def skeleton_faults(compiled: str, made: Skeleton, swapped: Swapped) -> Iterator[Fault]:
    """What the compiler did to the components of a template."""
    try:
        outlook = conditionals.outlook_view(compiled)
    except Fault:
        yield _of_the_compiler(made, "")
        return
    expected = set(made.order)
    for view, source in (("normal", compiled), ("outlook", outlook)):
        seen = see(_shielded(source, _all_words, made, swapped))
        words = [(content, parent) for content, _, parent in seen.comments if content in made.pieces or content in swapped.tokens]
        found = [word for word, _ in words if word in expected]
        if lost := _first_difference(made.order, found) if view == "normal" else None:
            yield _lost(lost, made, swapped)
            return
        spoken = swapped.word.sub("", made.word.sub("", seen.text))
        if spoken or any(tag.startswith("mj-") for tag, _ in seen.tags):
            yield _of_the_compiler(made, found[0] if found else "")
            return
        yield from _blocks(words, swapped)


def _first_difference(expected: list[str], found: list[str]) -> str | None:
    for n, word in enumerate(expected):
        if n >= len(found) or found[n] != word:
            return found[n] if n < len(found) and found[n] in expected[:n] else word
    return found[len(expected)] if len(found) > len(expected) else None


def _lost(word: str, made: Skeleton, swapped: Swapped) -> Fault:
    if word in made.pieces:
        piece = made.pieces[word]
        text = "What stands in this <{tag}> does not reach the message as it is written; put it elsewhere."
        return Fault(piece.element.offset, "content_lost", text, tag=piece.element.name)
    return Fault(swapped.text.index(word), "jinja_lost", "Jinja in this place never reaches the message.")


def _of_the_compiler(made: Skeleton, word: str) -> Fault:
    offset = made.pieces[word].element.offset if word in made.pieces else 0
    return Fault(offset, "result", "The MJML compiler makes a message of these components that shows markup; arrange them otherwise.")


def _blocks(words: Iterable[tuple[str, int]], swapped: Swapped) -> Iterator[Fault]:
    """Conditions and loops between components whose ends would lie in different elements."""
    open_blocks: list[tuple[str, int]] = []
    for word, parent in words:
        token = swapped.tokens.get(word)
        name = token.inner.split(None, 1)[0] if token and token.kind == "block" and token.inner else ""
        if name in ("if", "for", "with", "filter"):
            open_blocks.append((word, parent))
        elif name in ("else", "elif") or name.startswith("end"):
            if open_blocks and open_blocks[-1][1] != parent:
                text = "This begins in one component and ends in another; put both ends around whole components of one level."
                yield Fault(swapped.text.index(open_blocks[-1][0]), "jinja_across", text)
            if open_blocks and name.startswith("end"):
                open_blocks.pop()


def piece_faults(piece: Piece, context: str, made: Skeleton, swapped: Swapped) -> Iterator[Fault]:
    """Where an HTML5 parser reads a piece otherwise than it is written."""
    seen = see(_AROUND.get(context, "<!doctype html><body><div>") + _shielded(piece.text, _silent(swapped), made, swapped))
    surplus = Counter(_tags(piece.element))
    places = {written: element for element, written in _written(piece.element)}
    surplus.subtract(seen.tags)
    for written, count in surplus.items():
        if count > 0:
            text = "HTML does not allow <{tag}> at this place; mail programs would leave it out."
            yield Fault(places[written].offset, "html_misplaced", text, tag=places[written].name)
            return
        if count < 0 and written[0] not in _IMPLIED | _REOPENED and written not in _AROUND_TAGS:
            yield Fault(piece.element.offset, "html_smuggled", "HTML readers find a <{tag}> here that is not written.", tag=written[0][:40])
            return
    loose = next(_between_cells(piece.element, swapped), None)
    if loose is not None or seen.text != piece_text(piece, swapped):
        text = "Text stands between the cells of a table here, and mail programs move it elsewhere; put it into a <td>."
        yield Fault(piece.element.offset if loose is None else loose, "html_moved", text)


def _between_cells(element: Element, swapped: Swapped) -> Iterator[int]:
    """Where text stands directly in a table or a row."""
    silent = _silent(swapped)
    for holder in element.walk():
        for child in holder.children if holder.name.lower() in _TABLES else ():
            if isinstance(child, Text) and bare(swapped.word.sub(lambda match: "" if silent(match.group()) else "x", child.text)):
                yield child.offset


def piece_text(piece: Piece, swapped: Swapped) -> str:
    """What of a piece shows, without blanks; expressions as their words."""
    silent = _silent(swapped)
    spoken = html.unescape("".join(_texts(piece.element)))
    return bare(swapped.word.sub(lambda match: "" if silent(match.group()) else match.group(), spoken))


def _texts(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, Text):
            yield child.text
        elif child.name.lower() not in ("style", "title"):
            yield from _texts(child)


def _tags(element: Element) -> list[tuple[str, Attributes]]:
    return [written for _, written in _written(element)]


def _written(element: Element) -> Iterator[tuple[Element, tuple[str, Attributes]]]:
    """The tags below an element as a parser has them: names in lower case, entities as characters."""
    for child in element.walk():
        if child is not element and child.name != "mj-raw":
            kept = [one for one in child.attributes.values() if allowed.attribute(child.name, one.name)]
            pairs = {one.name.lower(): html.unescape(one.value or "") for one in reversed(kept)}
            yield child, (_svg_free(child.name), tuple(sorted(pairs.items())))


def _svg_free(name: str) -> str:
    return "img" if name.lower() == "image" else name.lower()


def whole_faults(final: str, compiled: str, made: Skeleton, swapped: Swapped) -> Iterator[Fault]:
    """What the mail as a whole shows beyond the skeleton and the pieces in it."""
    try:
        views = [(final, compiled), (conditionals.outlook_view(final), conditionals.outlook_view(compiled))]
    except Fault as fault:
        yield Fault(0, fault.code, fault.text, **fault.values)
        return
    for n, (mail, before) in enumerate(views):
        seen, own = see(mail), see(before)
        yield from _listed(seen, own)
        if n == 0:
            yield from _nothing_else(mail, made, compiled, swapped)


def _listed(seen: Seen, own: Seen) -> Iterator[Fault]:
    """Backstop behind the checks of the source, which know the place: nothing acts that the compiler did not write."""
    before = Counter(tag for tag, _ in own.tags)
    pairs = {(tag, name) for tag, attributes in own.tags for name, _ in attributes}
    for tag, count in Counter(tag for tag, _ in seen.tags).items():
        if not allowed.tag(tag) and count > before[tag]:
            yield Fault(0, "tag_forbidden", "<{tag}> is not allowed in messages.", tag=tag[:40])
    for tag, attributes in seen.tags:
        for name, value in attributes:
            known = (tag, name) in pairs or allowed.attribute(tag, name)
            if name in allowed.URL_ATTRIBUTES and not allowed.safe(value, picture=name != "href"):
                text = '"{scheme}:" addresses are not allowed; expected https, mailto or tel.'
                yield Fault(0, "unsafe_link", text, scheme=allowed.scheme(value))
            if allowed.runs_script(name) or not known or (name == "style" and not allowed.css(value)):
                yield Fault(0, "script", 'The attribute "{attribute}" runs a script; messages cannot.', attribute=name[:40])


def _nothing_else(mail: str, made: Skeleton, compiled: str, swapped: Swapped) -> Iterator[Fault]:
    """The words of the skeleton, each replaced by the text of its piece, are the text of the mail."""
    silent = _silent(swapped)
    words = [word for word, _, _ in see(_shielded(compiled, _all_words, made, swapped)).comments]
    expected = "".join(
        _text_of(made.pieces[word], swapped) if word in made.pieces else word
        for word in words
        if word in made.pieces or (word in swapped.tokens and not silent(word))
    )
    if expected != see(_shielded(mail, silent, made, swapped)).text:
        yield Fault(0, "result", "The message would not show the text as it is written; take out the HTML around it piece by piece.")


def _text_of(piece: Piece, swapped: Swapped) -> str:
    if piece.kind == "added":
        return ""
    return bare(html.unescape(piece.text)) if piece.kind == "value" else piece_text(piece, swapped)
