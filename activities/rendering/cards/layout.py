"""Where everything stands on the two sides of a card: a list of things to draw for each, the same for the printer and for the page.

Points from the top left corner of the paper, bleed included. What finds no room is a failure, never cut off and never smaller than people read.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import segno
from PIL import Image
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]

from activities.rendering.cards.card import MM, Card
from activities.rendering.cards.side import Block, Frame, Look, Run, blocks
from activities.rendering.faults import RenderFailed
from journeys.paper import Paper

FONTS: Mapping[str, Path] = {
    name: Path(__file__).parent / "fonts" / f"{name}.ttf" for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique")
}
LEADING = 1.3
"""Height of a line as a multiple of its letters."""
BACK_SIZES = (9.5, 9.0, 8.5, 8.0, 7.5)
"""Points; the first in which the words of the back have room."""
SMALL = 6.0
CODE = 16 * MM
MAX_PIXELS = 40_000_000
MAX_DRAWN = 20_000
MISSING = "\ufffd"


@dataclass(frozen=True, slots=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """`y` is the base line."""

    x: float
    y: float
    text: str
    font: str
    size: float
    colour: str = "#000000"


@dataclass(frozen=True, slots=True)
class Picture:
    """`image` fills the rectangle; what sticks out of it is cut off."""

    x: float
    y: float
    width: float
    height: float
    image: Image.Image


Drawn = Rectangle | Words | Picture


@dataclass(frozen=True, slots=True)
class Sides:
    front: Sequence[Drawn]
    back: Sequence[Drawn]


def sides(card: Card, paper: Paper) -> Sides:
    """Both sides.

    Raises:
        RenderFailed: `card_full` (front or back): there is too much on it; `bad_picture`, `foreign_picture`, `template_error`.
    """
    _register()
    return Sides(list(_front(card, paper)), list(_back(card, paper)))


@cache
def _register() -> None:
    for name, path in FONTS.items():
        pdfmetrics.registerFont(TTFont(name, str(path)))


@dataclass(slots=True)
class _Column:
    """A place for paragraphs, one below the other."""

    x: float
    y: float
    width: float
    bottom: float


def _front(card: Card, paper: Paper) -> Iterator[Drawn]:
    corner, margin = paper.bleed * MM, (paper.bleed + paper.margin) * MM
    flow = _Column(margin, margin, (paper.width - 2 * paper.margin) * MM, (paper.bleed + paper.height - paper.margin) * MM)
    whole = _Column(0, 0, (paper.width + 2 * paper.bleed) * MM, (paper.height + 2 * paper.bleed) * MM)
    for frame, group in groupby(blocks(card.front), key=lambda block: block.frame):
        if frame is None:
            yield from _paragraphs(group, flow, card, whole)
        else:
            yield from _framed(frame, list(group), corner, card, whole)


def _framed(frame: Frame, group: Sequence[Block], corner: float, card: Card, whole: _Column) -> Iterator[Drawn]:
    room = whole.width - corner - frame.left
    width = _share(frame.width, room, room - corner)
    inner = _Column(
        corner + frame.left + frame.padding, corner + frame.top + frame.padding, width - 2 * frame.padding, whole.bottom - corner
    )
    if len(group) == 1 and group[0].picture:
        yield from _bleeding(group[0], frame, corner, card, whole)
        return
    top = inner.y
    inside = list(_paragraphs(group, inner, card, whole))
    if frame.background:
        height = max(frame.height or 0.0, inner.y - top + 2 * frame.padding)
        yield Rectangle(inner.x - frame.padding, top - frame.padding, width, height, frame.background)
    yield from inside


def _bleeding(block: Block, frame: Frame, corner: float, card: Card, whole: _Column) -> Iterator[Drawn]:
    """A picture in its own place. Where it touches an edge of the card it goes on into the bleed."""
    image = _opened(card, block.picture)
    inner_width, inner_height = whole.width - 2 * corner, whole.bottom - 2 * corner
    width = _share(frame.width, inner_width, inner_width)
    height = frame.height or width * image.height / image.width
    left, top, right, bottom = frame.left, frame.top, frame.left + width, frame.top + height
    left, top = (-corner if left <= 0 else left), (-corner if top <= 0 else top)
    right = inner_width + corner if right >= inner_width - 0.5 else right
    bottom = inner_height + corner if bottom >= inner_height - 0.5 else bottom
    yield Picture(corner + left, corner + top, right - left, bottom - top, _cropped(image, right - left, bottom - top))


def _paragraphs(group: Iterable[Block], column: _Column, card: Card, whole: _Column) -> Iterator[Drawn]:
    for block in group:
        column.y += block.before
        yield from _image(block, column, card) if block.picture else _text(block, column)
        column.y += block.after
        if column.y - block.after > column.bottom + 0.01:
            raise RenderFailed("card_full", "front")


def _image(block: Block, column: _Column, card: Card) -> Iterator[Drawn]:
    image = _opened(card, block.picture)
    width = min(_share(block.width, column.width, min(column.width, image.width * 0.75)), column.width)
    height = block.height or width * image.height / image.width
    x = column.x + {"center": (column.width - width) / 2, "right": column.width - width}.get(block.align, 0.0)
    yield Picture(x, column.y, width, height, _cropped(image, width, height) if block.cover else image)
    column.y += height


def _share(said: float | None, room: float, otherwise: float) -> float:
    if said is None:
        return otherwise
    return -said * room if said < 0 else said


def _text(block: Block, column: _Column) -> Iterator[Drawn]:
    indent = 4.5 * MM if block.marker else 0.0
    lines = _lines(block.runs, column.width - indent)
    height = sum(_height(line) for line in lines)
    foot = 0.3 * _height(lines[-1]) if block.background else 0.0
    if block.background:
        yield Rectangle(column.x, column.y, column.width, height + foot, block.background)
    for number, line in enumerate(lines):
        base = column.y + _height(line) / LEADING
        if block.marker and number == 0:
            look = line[0][1]
            yield Words(column.x, base, block.marker, _font(look), look.size, look.colour)
        free = column.width - indent - sum(width for _, _, width in line)
        x = column.x + indent + {"center": free / 2, "right": free}.get(block.align, 0.0)
        for text, look, width in line:
            if text.strip():
                yield Words(x, base, text, _font(look), look.size, look.colour)
            x += width
        column.y += _height(line)
    column.y += foot


Line = list[tuple[str, Look, float]]
"""(text, look, width) beside each other."""


def _height(line: Line) -> float:
    return LEADING * max(look.size for _, look, _ in line)


def _lines(runs: Sequence[Run], room: float) -> list[Line]:
    """Words in lines of at most `room` points; a word that is longer than a line is broken."""
    lines: list[Line] = [[]]
    left = room
    for text, look in _pieces(runs):
        if text == "\n":
            lines[-1] = lines[-1] or [("", look, 0.0)]
            lines.append([])
            left = room
            continue
        for part in _fitting(text, look, room):
            width = _width(part, look)
            if width > left and lines[-1] and part.strip():
                lines.append([])
                left = room
            if not lines[-1] and not part.strip():
                continue
            lines[-1].append((part, look, width))
            left -= width
            if sum(map(len, lines)) > MAX_DRAWN:
                raise RenderFailed("card_full", "words")
    return [_trimmed(line) for line in lines if line] or [[("", runs[0].look if runs else Look(), 0.0)]]


def _trimmed(line: Line) -> Line:
    """Without blanks at its end, and pieces of one look as one."""
    while len(line) > 1 and not line[-1][0].strip():
        line.pop()
    pieces = ((look, list(group)) for look, group in groupby(line, key=lambda piece: piece[1]))
    return [("".join(text for text, _, _ in group), look, sum(width for _, _, width in group)) for look, group in pieces]


def _pieces(runs: Sequence[Run]) -> Iterator[tuple[str, Look]]:
    for run in runs:
        if run.text == "\n":
            yield "\n", run.look
        else:
            yield from ((piece, run.look) for piece in re.findall(r"[^\s\-/]+[\-/]?|[\-/]|\s+", _printable(run.text, run.look)))


def _fitting(text: str, look: Look, room: float) -> Iterator[str]:
    while _width(text, look) > room and len(text) > 1:
        most = max(1, int(len(text) * room / _width(text, look)))
        yield text[:most]
        text = text[most:]
    yield text


def _font(look: Look) -> str:
    return "DejaVuSans-Bold" if look.bold else "DejaVuSans-Oblique" if look.italic else "DejaVuSans"


def _width(text: str, look: Look) -> float:
    return float(pdfmetrics.stringWidth(text, _font(look), look.size))


def _printable(text: str, look: Look) -> str:
    """Characters that the fonts do not have as a sign that shows it, and none that turns the direction of others."""
    known = pdfmetrics.getFont(_font(look)).face.charToGlyph
    return "".join(one if ord(one) in known or one.isspace() else "" if ord(one) in _UNSEEN else MISSING for one in text)


_UNSEEN = frozenset({*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xAD, *range(0xFE00, 0xFE10)})


def _back(card: Card, paper: Paper) -> Iterator[Drawn]:
    left = top = (paper.bleed + paper.margin) * MM
    bottom = (paper.bleed + paper.height - paper.margin) * MM
    width = paper.words * MM
    foot, height = _objection(card, left, bottom, width)
    yield from _written(card.back, _Column(left, top, width, bottom - height))
    yield from foot
    yield from _addressed(card, paper)


def _written(text: str, column: _Column) -> Iterator[Drawn]:
    """The words of the back, in the largest size in which they have room."""
    for size in BACK_SIZES:
        look = Look(size)
        runs = [part for line in text.strip().split("\n") for part in (Run(line, look), Run("\n", look))][:-1]
        tried = _Column(column.x, column.y, column.width, column.bottom)
        drawn = list(_text(Block(runs), tried)) if text.strip() else []
        if tried.y <= column.bottom + 0.01:
            return iter(drawn)
    raise RenderFailed("card_full", "back")


def _objection(card: Card, left: float, bottom: float, width: float) -> tuple[list[Drawn], float]:
    """How to object to advertising, with a code that leads to the page where it is done; and how much room that takes."""
    if not card.objection:
        return [], 0.0
    beside = CODE + 2 * MM if card.objection_url else 0.0
    block = Block([Run(card.objection, Look(SMALL))])
    text = _Column(left + beside, 0.0, width - beside, bottom)
    list(_text(block, text))
    top = bottom - max(text.y, CODE if card.objection_url else 0.0)
    drawn = [*_text(block, _Column(text.x, top, text.width, bottom))]
    if card.objection_url:
        drawn += _code(card.objection_url, left, top)
    return drawn, bottom - top + 3 * MM


def _code(url: str, left: float, top: float) -> Iterator[Drawn]:
    """A QR code (ISO/IEC 18004), its dark modules row by row."""
    try:
        matrix = segno.make(url, error="m", micro=False).matrix
    except ValueError:
        raise RenderFailed("card_full", "code") from None
    one = CODE / len(matrix)
    for y, row in enumerate(matrix):
        for dark, span in groupby(enumerate(row), key=lambda place: bool(place[1])):
            places = [x for x, _ in span]
            if dark:
                yield Rectangle(left + places[0] * one, top + y * one, len(places) * one, one, "#000000")


def _addressed(card: Card, paper: Paper) -> Iterator[Drawn]:
    """The sender on one line and the address below it, in the part that belongs to the post, above the 15 mm in which it prints its own code."""
    left = (paper.bleed + paper.width - 64.0) * MM
    y = (paper.bleed + 46.0) * MM
    room = 58 * MM
    if card.sender and card.to:
        yield from _text(Block([Run(card.sender, Look(SMALL))]), _Column(left, y - 4 * MM, room, y))
    look = Look(10.0)
    for line in card.to:
        size = min(10.0, 10.0 * room / max(_width(_printable(line, look), look), 1.0))
        y += 5 * MM
        yield Words(left, y, _printable(line, look), _font(look), size)


def _opened(card: Card, address: str) -> Image.Image:
    """A picture of the card as pixels.

    Raises:
        RenderFailed: it is not there (`foreign_picture`), or is no picture (`bad_picture`).
    """
    content = card.pictures.get(address)
    if content is None:
        raise RenderFailed("foreign_picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "GIF", "WEBP"))
            if image.width * image.height > MAX_PIXELS or min(image.size) < 1:
                raise RenderFailed("bad_picture")
            return _flat(image)
    except RenderFailed:
        raise
    except Exception:  # noqa: BLE001 - whatever Pillow says about a file of a stranger, it is no picture
        raise RenderFailed("bad_picture") from None


def _flat(image: Image.Image) -> Image.Image:
    """In colours, what shows through on white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(clear, mask=clear.getchannel("A"))
        return ground
    return image.convert("RGB")


def _cropped(image: Image.Image, width: float, height: float) -> Image.Image:
    """The middle of a picture in the shape of a rectangle."""
    if width <= 0 or height <= 0:
        raise RenderFailed("template_error", "size")
    wanted = width / height
    if image.width / image.height > wanted:
        cut = (image.width - image.height * wanted) / 2
        return image.crop((round(cut), 0, round(image.width - cut), image.height))
    cut = (image.height - image.width / wanted) / 2
    return image.crop((0, round(cut), image.width, round(image.height - cut)))
