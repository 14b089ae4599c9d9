"""`Card`: all that is printed, and on which paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MM = 72 / 25.4
"""Points in a millimetre."""


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
PAPERS: Mapping[str, Paper] = {paper.name: paper for paper in (A6, US)}


@dataclass(frozen=True, slots=True)
class Card:
    """`front` is HTML, filled in; `back` the words beside the address. `pictures`: address in the HTML -> file.

    `objection` says how to object to advertising by post and `objection_url` is its code; both are empty on cards that are no marketing.
    `to`: the lines of the address, where the printer does not print it itself; `sender`: whom the card comes back to, on one line.
    """

    front: str
    back: str
    objection: str = ""
    objection_url: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
