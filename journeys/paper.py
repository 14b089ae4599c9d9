"""What postcards are printed on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paper:
    """Measures in millimetres. `bleed` is printed around the card and cut off; `margin` stays empty on the front, since cutting is not exact;
    `words` is the width of the part of the back that is ours, the rest belongs to the post."""

    name: str
    width: float
    height: float
    bleed: float
    margin: float = 6.0
    words: float = 58.0


A6 = Paper("a6", 148.0, 105.0, 3.0)
US = Paper("us", 152.4, 101.6, 3.175, words=56.0)
"""4 x 6 inches. Source: Lob "Postcard templates": an eighth of an inch of bleed, and nothing printed in 3.28 x 2.38 inches beside the address."""
