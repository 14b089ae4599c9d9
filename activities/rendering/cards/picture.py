"""A card as pictures for a page: what the printer gets, with the edge where it is cut and what belongs to the post."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from activities.rendering.cards.card import MM, Card
from activities.rendering.cards.layout import FONTS, Drawn, Picture, Rectangle, sides
from journeys.paper import Paper

SCALE = 2.0
"""Pixels in a point: 144 dots an inch."""
POST = "#f1f1ee"
CUT = "#8a8a86"


def show_card(card: Card, paper: Paper) -> tuple[bytes, bytes]:
    """Front and back as JPEG, (width + bleed) by (height + bleed) of the paper. Raises: RenderFailed: as `layout.sides`."""
    both = sides(card, paper)
    return _side(both.front, paper, is_back=False), _side(both.back, paper, is_back=True)


def _side(drawn: Iterable[Drawn], paper: Paper, *, is_back: bool) -> bytes:
    size = tuple(round((length + 2 * paper.bleed) * MM * SCALE) for length in (paper.width, paper.height))
    image = Image.new("RGB", (size[0], size[1]), "white")
    draw = ImageDraw.Draw(image)
    if is_back:
        left = round((paper.bleed + paper.margin + paper.words + 4.0) * MM * SCALE)
        draw.rectangle((left, 0, *size), fill=POST)
    for one in drawn:
        _put(image, draw, one)
    _cut(draw, size[0], size[1], round(paper.bleed * MM * SCALE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()


def _put(image: Image.Image, draw: ImageDraw.ImageDraw, one: Drawn) -> None:
    x, y = one.x * SCALE, one.y * SCALE
    if isinstance(one, Picture):
        size = (max(1, round(one.width * SCALE)), max(1, round(one.height * SCALE)))
        image.paste(one.image.resize(size), (round(x), round(y)))
    elif isinstance(one, Rectangle):
        draw.rectangle((round(x), round(y), round(x + one.width * SCALE) - 1, round(y + one.height * SCALE) - 1), fill=one.colour)
    else:
        draw.text((x, y), one.text, font=_font(one.font, one.size), fill=one.colour, anchor="ls")


@lru_cache(maxsize=64)
def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS[name]), size * SCALE, layout_engine=ImageFont.Layout.BASIC)


def _cut(draw: ImageDraw.ImageDraw, width: int, height: int, edge: int) -> None:
    """The line along which the card is cut, in dashes."""
    for at in range(edge, width - edge, 12):
        draw.line([(at, edge), (at + 6, edge)], fill=CUT)
        draw.line([(at, height - edge), (at + 6, height - edge)], fill=CUT)
    for at in range(edge, height - edge, 12):
        draw.line([(edge, at), (edge, at + 6)], fill=CUT)
        draw.line([(width - edge, at), (width - edge, at + 6)], fill=CUT)
