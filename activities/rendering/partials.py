"""Partials: pieces of a mail (header, footer, product card) that templates include by name, put in before anything else is looked at.

`<mj-include path="partial:footer" />` stands where the components of the piece could stand. A piece is whole in itself: its tags, comments,
Outlook conditionals and Jinja begin and end in it, so that it never reaches beyond its place. Reads nothing: the pieces come
along in a `Library`. What is wrong in a piece is told with its own line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import PurePosixPath

from activities.rendering import conditionals, jinja
from activities.rendering.components import COMPONENTS
from activities.rendering.faults import Fault, Lines, Remark, issue
from activities.rendering.languages import serving
from activities.rendering.markup import VOID, Element, Text, read_pieces
from activities.rendering.tokens import Swapped, swap
from journeys.contact_rules import Askable
from journeys.errors import Issue

MAX_DEPTH = 5
"""Partials within each other."""
MAX_INCLUDES = 200
"""Inclusions in one text, those within partials counted each time."""
MAX_FAULTS = 100
MAX_SOURCE = 300_000
"""Characters of one variant's MJML or text, with its partials put in."""

TAG = "mj-include"
_NAMED = re.compile(r"""\bpath\s*=\s*["']\s*partial:([a-z0-9][a-z0-9_-]{0,63})\s*["']""")
_PATH = re.compile(r"\s*partial:([a-z0-9][a-z0-9_-]{0,63})\s*")
_PARENTS = (
    "mj-body", "mj-section", "mj-column", "mj-head", "mj-social", "mj-navbar", "mj-accordion", "mj-accordion-element", "mj-carousel",
)  # fmt: skip
"""Where a partial stands when it is looked at alone: the first of these in which all its components may stand."""


@dataclass(frozen=True, slots=True)
class Partial:
    """`number` is the version that `sources` (language, MJML) come from."""

    key: str
    number: int
    sources: tuple[tuple[str, str], ...]
    archived: bool = False

    def source(self, locale: str) -> str | None:
        """The MJML for a template in the language `locale`; None if there is neither that language nor a default."""
        known = dict(self.sources)
        name = serving([locale], known)
        return None if name is None else known[name].replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Library:
    """The partials that a text may include. `names`: keys of all there are; `own`: that of the partial which is being compiled itself. `pools`: keys of the
    coupon pools that there are, where the text takes a code; `askable`: what rules may ask for, where there are any; None: nobody looked, so none is missed."""

    partials: tuple[Partial, ...] = ()
    names: tuple[str, ...] = ()
    own: str = ""
    pools: tuple[str, ...] | None = None
    askable: Askable | None = None

    def get(self, key: str) -> Partial | None:
        return next((one for one in self.partials if one.key == key), None)


NO_PARTIALS = Library()


def mentioned(texts: Iterable[str]) -> set[str]:
    """Keys of partials that MJML sources may include; also those in comments, for this only looks."""
    return {key for text in texts if TAG in text for key in _NAMED.findall(text)}


@dataclass(frozen=True, slots=True)
class Origin:
    """A text that became part of the whole. `key` is empty for the template's own; `at`: where the template has the (outermost) inclusion."""

    lines: Lines
    key: str = ""
    at: int = 0


@dataclass
class Expanded:
    """`text` with all partials put in, `used`: key -> version. Offsets of `text` are told as places in the text they came from."""

    root: Origin
    text: str = ""
    used: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[Origin, Fault]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    origins: list[tuple[Origin, int]] = field(default_factory=list)

    def issue(self, fault: Fault, place: str) -> Issue:
        """The fault (its offset is one of `text`) as an author reads it."""
        if not self.starts:
            return issue(fault, self.root.lines, place)
        n = max(bisect_right(self.starts, fault.offset) - 1, 0)
        origin, at = self.origins[n]
        fault.offset += at - self.starts[n]
        return self._told(origin, fault, place)

    def issues(self, place: str) -> list[Issue]:
        """What is wrong with the inclusions themselves."""
        return [self._told(origin, fault, place) for origin, fault in self.faults]

    def _told(self, origin: Origin, fault: Fault, place: str) -> Issue:
        if not origin.key:
            return issue(fault, origin.lines, place)
        line, column = self.root.lines.place(origin.at)
        return inside(issue(fault, origin.lines, ""), origin.key, line, column, place)


def inside(problem: Issue, key: str, line: int, column: int, place: str) -> Issue:
    """A problem of a partial, told to the author of a template that includes it at `line` and `column`."""
    values = {"partial": key, "line": line, "column": column, "problem": problem}
    text = "In the partial “{partial}”, included in line {line}: {problem}"
    return Issue(code=problem.code, text=text, values=values, field=place, severity=problem.severity)


def expand(source: str, locale: str, library: Library = NO_PARTIALS) -> Expanded:
    """`source` with its partials put in; what cannot be put in is left out, and stands in `faults`.

    A text that cannot be read is left as it is: whoever compiles it says why.
    """
    made = _Expander(source, locale, library)
    made.put(made.expanded.root, source, (library.own,) if library.own else ())
    return made.done()


def alone(source: str, locale: str, library: Library = NO_PARTIALS) -> Expanded:
    """A partial as a mail of its own: put in where its components may stand. Without a text, if it is no piece of a mail."""
    made = _Expander(source, locale, library)
    root = made.expanded.root
    if wrong := next(_torn(source), None):
        made.fault(root, wrong)
        return made.done()
    made.put(root, source, (library.own,) if library.own else ())
    parents = _parents(made)
    if not parents:
        return replace(made.done(), text="")
    made.wrap("".join(f"<{name}>" for name in parents), "".join(f"</{name}>" for name in reversed(parents)))
    return made.done()


def _parents(made: _Expander) -> list[str]:
    """`["mjml", "mj-body"]`: what has to be around the text; empty, with a fault, if its components cannot stand together."""
    expanded = made.done()
    try:
        swapped = swap(expanded.text)
        tops = list(read_pieces(swapped.text).elements())
    except Fault:  # each text is whole, so only what surrounds an inclusion can be meant; the whole says it with its place
        return ["mjml", "mj-body"]
    possible = frozenset(COMPONENTS)
    for element in tops:
        if element.name in ("mjml", "mj-body", "mj-head"):
            text = "A partial is a piece of an e-mail: remove <{tag}> and keep its content."
            made.fault_at(swapped.original_offset(element.offset), Fault(0, "partial_whole", text, tag=element.name))
            return []
        possible &= COMPONENTS[element.name].inside if element.name in COMPONENTS else possible
        if not possible & set(_PARENTS):
            text = "<{tag}> cannot be next to <{first}>; all components of a partial must be allowed in the same place."
            made.fault_at(swapped.original_offset(element.offset), Fault(0, "partial_mixed", text, tag=element.name, first=tops[0].name))
            return []
    found = [next(name for name in _PARENTS if name in possible)]
    while (above := next((name for name in _PARENTS if name in COMPONENTS[found[0]].inside), None)) is not None:
        found.insert(0, above)
    return ["mjml", *found]


@dataclass(frozen=True, slots=True)
class _Include:
    """`path` is as written, None if it is missing; `wrong`: what keeps it from being put in, whatever its path."""

    start: int
    end: int
    path: str | None
    wrong: Fault | None = None


class _Expander:
    def __init__(self, source: str, locale: str, library: Library) -> None:
        self.expanded = Expanded(Origin(Lines(source)))
        self._source, self._locale, self._library = source, locale, library
        self._parts: list[str] = []
        self._length = self._count = 0
        self._torn: dict[str, Fault | None] = {}
        self._found: dict[str, list[_Include]] = {}

    def done(self) -> Expanded:
        self.expanded.text = "".join(self._parts)
        return self.expanded

    def put(self, origin: Origin, source: str, stack: tuple[str, ...]) -> None:
        at = 0
        if origin.key not in self._found:
            self._found[origin.key] = _includes(source) if TAG in source else []
        for one in self._found[origin.key]:
            self._add(origin, source[at : one.start], at)
            at = one.end
            if self._count <= MAX_INCLUDES:
                self._include(origin if origin.key else replace(origin, at=one.start), one, stack)
        self._add(origin, source[at:], at)

    def wrap(self, before: str, after: str) -> None:
        """Adds what nobody wrote around everything."""
        made = self.expanded
        made.starts = [0, *(start + len(before) for start in made.starts)]
        made.origins = [(made.root, 0), *made.origins]
        self._parts = [before, *self._parts]
        self._length += len(before)
        self._add(made.root, after, max(len(self._source) - 1, 0))
        if after.startswith("</mj-head>"):
            self._parts[-1] = after.replace("</mjml>", "<mj-body></mj-body></mjml>")

    def fault(self, origin: Origin, fault: Fault) -> None:
        if len(self.expanded.faults) < MAX_FAULTS:
            self.expanded.faults.append((origin, fault))

    def fault_at(self, offset: int, fault: Fault) -> None:
        """A fault at an offset of the whole text."""
        n = max(bisect_right(self.expanded.starts, offset) - 1, 0)
        origin, at = self.expanded.origins[n]
        fault.offset = offset + at - self.expanded.starts[n]
        self.fault(origin, fault)

    def _add(self, origin: Origin, text: str, at: int) -> None:
        if text:
            self.expanded.starts.append(self._length)
            self.expanded.origins.append((origin, at))
            self._parts.append(text)
            self._length += len(text)

    def _include(self, origin: Origin, one: _Include, stack: tuple[str, ...]) -> None:
        """`origin.at` is already where the template has it."""
        holder = Origin(origin.lines, origin.key, origin.at)
        try:
            partial = self._partial(one, stack)
        except Fault as fault:
            self.fault(holder, fault)
            return
        source = partial.source(self._locale)
        if source is None:
            text = "The partial “{partial}” has no text in the language “{locale}” and no default."
            self.fault(holder, Fault(one.start, "partial_language", text, partial=partial.key, locale=self._locale))
        elif self._length + len(source) > MAX_SOURCE:
            text = "With this partial the text has more than {limit} characters."
            self.fault(holder, Fault(one.start, "too_large", text, limit=MAX_SOURCE))
        else:
            self._put_partial(holder, one, partial, source, stack)

    def _put_partial(self, holder: Origin, one: _Include, partial: Partial, source: str, stack: tuple[str, ...]) -> None:
        inner = Origin(Lines(source), partial.key, holder.at)
        if partial.key not in self._torn:
            self._torn[partial.key] = next(_torn(source), None)
        if wrong := self._torn[partial.key]:
            self.fault(inner, wrong)
            return
        if partial.archived:
            text = "The partial “{partial}” is archived; it is still included."
            self.fault(holder, Remark(one.start, "partial_archived", text, partial=partial.key))
        self.expanded.used[partial.key] = partial.number
        self.put(inner, source, (*stack, partial.key))

    def _partial(self, one: _Include, stack: tuple[str, ...]) -> Partial:
        """Raises: Fault, if there is nothing to put in."""
        self._count += 1
        if one.wrong:
            raise one.wrong
        if self._count > MAX_INCLUDES:
            raise Fault(one.start, "too_many", "Expected at most {limit} inclusions, those of partials included.", limit=MAX_INCLUDES)
        key = _key(one)
        if key in stack:
            text = "The partial “{partial}” would include itself: {way}."
            raise Fault(one.start, "partial_cycle", text, partial=key, way=" → ".join((*stack[stack.index(key) :], key)))
        if len(stack) - bool(self._library.own) >= MAX_DEPTH:
            raise Fault(one.start, "partial_depth", "Expected at most {limit} partials within each other.", limit=MAX_DEPTH)
        partial = self._library.get(key)
        if partial is None:
            raise self._unknown(one.start, key)
        return partial

    def _unknown(self, offset: int, key: str) -> Fault:
        near = get_close_matches(key, self._library.names, n=1)
        if near:
            text = "There is no partial “{partial}”. Did you mean “{near}”?"
            return Fault(offset, "partial_unknown", text, partial=key, near=near[0])
        text = "There is no partial “{partial}”. Create it under New template, Partial, with this key."
        return Fault(offset, "partial_unknown", text, partial=key)


def _key(one: _Include) -> str:
    if one.path is None:
        raise Fault(one.start, "partial_path", 'Expected <mj-include path="partial:KEY" />, with the key of a partial.')
    if found := _PATH.fullmatch(one.path):
        return found[1]
    if one.path.strip().startswith("partial:"):
        text = '"{path}" names no partial: a key has lower-case letters, digits, - and _.'
        raise Fault(one.start, "partial_path", text, path=one.path.strip()[:80])
    text = '<mj-include> reads no files: make a partial of {path} (New template, Partial) and write path="partial:{suggested}".'
    raise Fault(one.start, "not_available", text, path=one.path.strip()[:80] or "…", suggested=_suggested(one.path))


def _suggested(path: str) -> str:
    """`./parts/Footer New.mjml` -> footer-new."""
    stem = PurePosixPath(path.replace("\\", "/")).name.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:64] or "footer"


def _torn(source: str) -> Iterator[Fault]:
    """What makes a partial reach beyond itself, or end too early."""
    try:
        swapped = swap(source)
    except Fault as fault:
        yield fault
        return
    try:
        pieces = read_pieces(swapped.text)
    except Fault as fault:
        fault.offset = swapped.original_offset(fault.offset)
        yield fault
        return
    broken = (one for one in jinja.faults(swapped, source, Lines(source)) if one.code in ("jinja_syntax", "too_deep"))
    yield from (*broken, *_loose_ends(pieces, swapped))


def _loose_ends(pieces: Element, swapped: Swapped) -> Iterator[Fault]:
    comments = sorted((comment for element in pieces.walk() for comment in element.comments), key=lambda comment: comment.offset)
    try:
        for _ in conditionals.paired(conditionals.mark(comment.source, comment.offset) for comment in comments):
            pass
    except Fault as fault:
        fault.offset = swapped.original_offset(fault.offset)
        yield fault
    for child in pieces.children:
        if isinstance(child, Text) and swapped.word.sub("", child.text).strip(" \t\n\r\f\v\ufeff"):
            offset = child.offset + len(child.text) - len(child.text.lstrip())
            text = "Text is not allowed directly in a partial; put it into <mj-text>."
            yield Fault(swapped.original_offset(offset), "text_misplaced", text)


def _includes(source: str) -> list[_Include]:
    """The inclusions of a source that can be read, in order; none of one that cannot."""
    try:
        swapped = swap(source)
        pieces = read_pieces(swapped.text)
    except Fault:
        return []
    return [_include(element, parent, swapped) for element, parent in _found(pieces, "")]


def _found(element: Element, holding: str) -> Iterator[tuple[Element, str]]:
    """Every inclusion with the nearest component around it that holds HTML, empty if there is none."""
    for child in element.elements():
        if child.name.lower() == TAG:
            yield child, holding
        else:
            component = COMPONENTS.get(child.name)
            yield from _found(child, child.name if component and component.html else holding)


def _include(element: Element, holding: str, swapped: Swapped) -> _Include:
    end = element.inner if element.empty or element.name.lower() in VOID else swapped.text.index(">", element.inner_end) + 1
    path = element.attributes.get("path")
    start = swapped.original_offset(element.offset)
    return _Include(start, swapped.original_offset(end), path.value if path else None, _misused(element, holding, start, swapped))


def _misused(element: Element, holding: str, start: int, swapped: Swapped) -> Fault | None:
    if holding:
        text = "<{tag}> is not allowed in <{parent}>; put it between components."
        return Fault(start, "tag_misplaced", text, tag=TAG, parent=holding)
    if swapped.word.search("".join(f"{name}{one.value}" for name, one in element.attributes.items())):
        return Fault(start, "partial_path", "Partials are included when the template is saved; Jinja cannot refer to them.")
    if other := next((name for name in element.attributes if name != "path"), None):
        return Fault(start, "attribute_unknown", '<{tag}> knows only the attribute "path", not "{attribute}".', tag=TAG, attribute=other)
    if any(isinstance(child, Element) or child.text.strip() for child in element.children):
        return Fault(start, "text_misplaced", "<{tag}> must be empty; its content comes from the partial.", tag=TAG)
    return None


def sources_of(variants: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """What a partial's variants say, for a `Partial`."""
    return tuple((locale, parts.get("mjml") or "") for locale, parts in variants.items())
