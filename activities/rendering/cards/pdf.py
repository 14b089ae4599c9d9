"""A card as PDF for a printer: two pages, the paper with its bleed as the media, the card itself as the trim box. The same card is the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image
from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from activities.rendering.cards.card import MM, Card
from activities.rendering.cards.layout import Drawn, Picture, Rectangle, sides
from activities.rendering.faults import RenderFailed
from journeys.paper import Paper

DPI = 300
MAX_BYTES = 12_000_000


def print_card(card: Card, paper: Paper) -> bytes:
    """The PDF of both sides. Raises: RenderFailed: as `layout.sides`; `too_large`."""
    both = sides(card, paper)
    return _printed((both.front, both.back), paper)


def print_sides(card: Card, paper: Paper) -> list[bytes]:
    """A PDF for each side. Raises: as `print_card`."""
    both = sides(card, paper)
    return [_printed((side,), paper) for side in (both.front, both.back)]


def _printed(pages: Iterable[Iterable[Drawn]], paper: Paper) -> bytes:
    width, height = ((length + 2 * paper.bleed) * MM for length in (paper.width, paper.height))
    edge = paper.bleed * MM
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(width, height), invariant=True, pageCompression=1, trimBox=(edge, edge, width - edge, height - edge))
    for side in pages:
        _draw(canvas, side, height)
        canvas.showPage()
    canvas.save()
    if file.tell() > MAX_BYTES:
        raise RenderFailed("too_large", "pdf")
    return file.getvalue()


def _draw(canvas: Canvas, side: Iterable[Drawn], height: float) -> None:
    """PDF counts from the bottom."""
    for one in side:
        if isinstance(one, Picture):
            canvas.drawImage(ImageReader(_small(one)), one.x, height - one.y - one.height, one.width, one.height)
        elif isinstance(one, Rectangle):
            canvas.setFillColor(HexColor(one.colour))
            canvas.rect(one.x, height - one.y - one.height, one.width, one.height, stroke=0, fill=1)
        else:
            canvas.setFillColor(HexColor(one.colour))
            canvas.setFont(one.font, one.size)
            canvas.drawString(one.x, height - one.y, one.text)


def _small(one: Picture) -> Image.Image:
    """No more pixels than a printer shows."""
    most = (round(one.width / 72 * DPI) or 1, round(one.height / 72 * DPI) or 1)
    return one.image.resize(most) if one.image.width > most[0] and one.image.height > most[1] else one.image
