"""The HTML of a card's front: few tags, few styles, and pictures that are ours. What is not on the lists is refused with its place.

Lengths are millimetres, points or CSS pixels (96 an inch). A block may stand anywhere: `position: absolute; left: 8mm; top: 60mm; width: 90mm`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from activities.rendering.cards.card import MM
from activities.rendering.faults import Fault, RenderFailed
from activities.rendering.markup import Element, Text, read_pieces

BLOCKS = frozenset({"div", "p", "h1", "h2", "h3", "ul", "ol", "li"})
INLINE = frozenset({"b", "strong", "i", "em", "span", "br"})
TAGS = BLOCKS | INLINE | {"img"}
OWN = re.compile(r"(?:https?://[^/\s?#]{1,250})?(/m/([0-9a-f]{32})/[0-9]{1,6}\.(?:png|jpg|gif))")
"""A picture of the workspace's library, by its public address. It is looked up by its id, whatever host is written before it."""
INSIDE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
MAX_PICTURES = 8
_LENGTH = re.compile(r"(-?\d{1,4}(?:\.\d{1,3})?)(mm|pt|px)|0")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})|[a-z]{3,20}")
_UNITS: Mapping[str, float] = {"mm": MM, "pt": 1.0, "px": 0.75}
COLOURS: Mapping[str, str] = {
    "black": "#000000", "white": "#ffffff", "red": "#ff0000", "green": "#008000", "blue": "#0000ff", "yellow": "#ffff00", "gray": "#808080",
    "grey": "#808080", "orange": "#ffa500", "purple": "#800080", "navy": "#000080", "teal": "#008080", "maroon": "#800000", "silver": "#c0c0c0",
}  # fmt: skip
_WORDS: Mapping[str, frozenset[str]] = {
    "font-weight": frozenset({"normal", "bold", "400", "600", "700"}),
    "font-style": frozenset({"normal", "italic"}),
    "text-align": frozenset({"left", "center", "right"}),
    "position": frozenset({"absolute", "static"}),
    "object-fit": frozenset({"cover", "contain"}),
}
LENGTHS = frozenset({"font-size", "margin-top", "margin-bottom", "padding", "left", "top", "width", "height"})
STYLES = LENGTHS | _WORDS.keys() | {"color", "background-color"}
_SIZES: Mapping[str, float] = {"h1": 24.0, "h2": 18.0, "h3": 14.0}


@dataclass(frozen=True, slots=True)
class Look:
    """How a piece of text looks. `size` in points."""

    size: float = 11.0
    colour: str = "#000000"
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text in one look; `text` "\\n" is a break."""

    text: str
    look: Look


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of the card that stands by itself, with its own paragraphs. Points from the card's corner; `width` as in a block."""

    left: float
    top: float
    width: float | None
    height: float | None
    padding: float
    background: str


@dataclass(slots=True)
class Block:
    """A paragraph or a picture. Lengths in points; None: as it comes; a negative width is a share of what there is. `frame` None: in the flow."""

    runs: list[Run]
    align: str = "left"
    before: float = 0.0
    after: float = 0.0
    background: str = ""
    width: float | None = None
    height: float | None = None
    frame: Frame | None = None
    picture: str = ""
    cover: bool = False
    marker: str = ""


def faults(source: str) -> Iterator[Fault]:
    """What is wrong with a front as written, Jinja taken out. A value of Jinja's is checked when it is known."""
    try:
        holder = read_pieces(source)
    except Fault as fault:
        yield fault
        return
    for element in holder.walk():
        if element is not holder:
            yield from _faults_of(element)


def sources(filled: str) -> list[str]:
    """The pictures that a front shows, each once, in its order."""
    return list(dict.fromkeys(re.findall(r"<img\b[^>]*?\bsrc\s*=\s*[\"']([^\"']*)[\"']", filled)))[:MAX_PICTURES]


def _faults_of(element: Element) -> Iterator[Fault]:
    name = element.name.lower()
    if name not in TAGS:
        yield Fault(
            element.offset,
            "tag_forbidden",
            "<{tag}> cannot stand on a card; expected one of {tags}.",
            tag=name[:40],
            tags=", ".join(sorted(TAGS)),
        )
        return
    for attribute in element.attributes.values():
        known = {"style"} | ({"src", "alt"} if name == "img" else set())
        if attribute.name.lower() not in known:
            yield Fault(
                attribute.offset,
                "attribute_forbidden",
                'The attribute "{attribute}" has no meaning on a card.',
                attribute=attribute.name[:40],
            )
        elif attribute.name == "style":
            yield from _faults_of_style(attribute.value or "", attribute.offset)
        elif attribute.name == "src" and not _is_open(attribute.value or "") and not is_own(attribute.value or ""):
            yield Fault(
                attribute.offset, "foreign_picture", "A card shows pictures of the library only; nothing is fetched from elsewhere."
            )


def _faults_of_style(text: str, offset: int) -> Iterator[Fault]:
    for name, value in _declarations(text):
        if not _is_open(name + value) and not _fits(name, value):
            said = 'The style "{style}" has no meaning on a card; it knows {styles}.'
            yield Fault(offset, "style_forbidden", said, style=f"{name}: {value}"[:60], styles=", ".join(sorted(STYLES)))


def _is_open(text: str) -> bool:
    """Whether Jinja fills something in here: its place is held by a word that no style or address knows."""
    return "jx" in text


def is_own(address: str) -> bool:
    """Whether a picture comes from the library, or along with the text."""
    address = html.unescape(address).strip()
    return bool(OWN.fullmatch(address) or INSIDE.fullmatch(address))


def _declarations(text: str) -> list[tuple[str, str]]:
    pairs = (piece.partition(":") for piece in html.unescape(text).split(";") if piece.strip())
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _fits(name: str, value: str) -> bool:
    low = value.lower()
    if name in LENGTHS:
        return _LENGTH.fullmatch(low) is not None or (name == "width" and re.fullmatch(r"\d{1,3}%", low) is not None)
    if name in ("color", "background-color"):
        return _COLOUR.fullmatch(low) is not None and (low.startswith("#") or low in COLOURS)
    return low in _WORDS.get(name, ())


def blocks(filled: str) -> list[Block]:
    """The front as blocks, one below the other.

    Raises:
        RenderFailed: what was filled in is no such HTML: `template_error`, `foreign_picture`.
    """
    for fault in faults(filled):
        raise RenderFailed("foreign_picture" if fault.code == "foreign_picture" else "template_error", fault.code)
    found: list[Block] = []
    _walk(read_pieces(filled), {}, Look(), found, "", None)
    return found


def _walk(holder: Element, styles: Mapping[str, str], look: Look, found: list[Block], marker: str, frame: Frame | None) -> None:
    """Texts and inline tags beside each other make a paragraph; each block begins one."""
    block = _block(styles, marker, frame)
    number = 0
    for child in holder.children:
        if isinstance(child, Text):
            block.runs.append(Run(re.sub(r"\s+", " ", html.unescape(child.text)), look))
            continue
        name, own = child.name.lower(), dict(_declarations(child.get("style")))
        if name == "img":
            _close(block, found)
            found.append(_picture(child, own, frame))
            block = _block(styles, "", frame)
        elif name in BLOCKS:
            _close(block, found)
            number += 1
            inner = _frame(own) if own.get("position") == "absolute" else frame
            passed = {key: value for key, value in styles.items() if key == "text-align"}
            given = {key: value for key, value in own.items() if inner is frame or key == "text-align"}
            _walk(
                child,
                {**passed, **_spacing(name), **given},
                _looks(name, look, own),
                found,
                _marker(holder.name.lower(), name, number),
                inner,
            )
            block = _block({key: value for key, value in styles.items() if key != "margin-top"}, "", frame)
        else:
            _inline(child, name, _looks(name, look, own), block)
    _close(block, found)


def _inline(element: Element, name: str, look: Look, block: Block) -> None:
    if name == "br":
        block.runs.append(Run("\n", look))
    for child in element.children:
        if isinstance(child, Text):
            block.runs.append(Run(re.sub(r"\s+", " ", html.unescape(child.text)), look))
        else:
            inner = child.name.lower()
            _inline(child, inner, _looks(inner, look, dict(_declarations(child.get("style")))), block)


def _close(block: Block, found: list[Block]) -> None:
    if any(run.text.strip() for run in block.runs):
        found.append(block)


def _marker(parent: str, name: str, number: int) -> str:
    if name != "li":
        return ""
    return f"{number}." if parent == "ol" else "•"


def _spacing(name: str) -> dict[str, str]:
    return {"margin-bottom": "2mm"} if name in ("p", "h1", "h2", "h3") else {}


def _looks(name: str, look: Look, styles: Mapping[str, str]) -> Look:
    if name in _SIZES:
        look = replace(look, size=_SIZES[name], bold=True)
    if name in ("b", "strong"):
        look = replace(look, bold=True)
    if name in ("i", "em"):
        look = replace(look, italic=True)
    size = length(styles.get("font-size"))
    weight, slant = styles.get("font-weight"), styles.get("font-style")
    return Look(
        min(max(size, 4.0), 120.0) if size is not None else look.size,
        colour(styles.get("color")) or look.colour,
        weight in ("bold", "600", "700") if weight else look.bold,
        slant == "italic" if slant else look.italic,
    )


def _frame(styles: Mapping[str, str]) -> Frame:
    left, top, padding = (length(styles.get(name)) or 0.0 for name in ("left", "top", "padding"))
    return Frame(left, top, _width(styles), length(styles.get("height")), max(padding, 0.0), colour(styles.get("background-color")))


def _block(styles: Mapping[str, str], marker: str, frame: Frame | None) -> Block:
    before, after = (max(length(styles.get(name)) or 0.0, 0.0) for name in ("margin-top", "margin-bottom"))
    background, height = colour(styles.get("background-color")), length(styles.get("height"))
    return Block([], styles.get("text-align", "left"), before, after, background, _width(styles), height, frame, marker=marker)


def _picture(element: Element, styles: Mapping[str, str], frame: Frame | None) -> Block:
    block = _block(styles, "", _frame(styles) if styles.get("position") == "absolute" else frame)
    block.picture = html.unescape(element.get("src")).strip()
    block.cover = styles.get("object-fit") == "cover"
    return block


def _width(styles: Mapping[str, str]) -> float | None:
    """In points; a share of what there is as a negative number: -1.0 is all of it."""
    said = styles.get("width", "")
    return -min(int(said[:-1]), 100) / 100 if said.endswith("%") else length(said)


def length(text: str | None) -> float | None:
    """Points; None where there is no length."""
    found = _LENGTH.fullmatch((text or "").strip().lower())
    if found is None:
        return None
    return float(found[1]) * _UNITS[found[2]] if found[1] else 0.0


def colour(text: str | None) -> str:
    """As `#rrggbb`; empty where there is none."""
    low = (text or "").strip().lower()
    low = COLOURS.get(low, low)
    if re.fullmatch(r"#[0-9a-f]{3}", low):
        return "#" + "".join(2 * digit for digit in low[1:])
    return low if re.fullmatch(r"#[0-9a-f]{6}", low) else ""
