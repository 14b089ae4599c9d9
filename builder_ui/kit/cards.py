"""A card as a page for a frame: front and back, in their true proportion, with the line along which they are cut."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from html import escape

_STYLE = (
    "body { margin: 0; padding: 12px; font: 14px/1.4 system-ui, sans-serif; background: #e6e6e2; color: #333 } "
    "figure { margin: 0 auto 16px; max-width: 620px } figcaption { padding: 4px 0 } "
    "img { display: block; width: 100%; height: auto; box-shadow: 0 1px 4px #0005 }"
)


def page(t: Callable[[str], str], pictures: list[bytes]) -> str:
    """`pictures`: front and back as JPEG."""
    titles = (t("Front of the card"), t("Back of the card"))
    figures = "".join(
        f'<figure><figcaption>{escape(title)}</figcaption><img alt="{escape(title)}" src="data:image/jpeg;base64,{b64encode(one).decode()}"></figure>'
        for title, one in zip(titles, pictures, strict=True)
    )
    return f'<!doctype html><html><head><meta charset="utf-8"><style>{_STYLE}</style></head><body>{figures}</body></html>'
