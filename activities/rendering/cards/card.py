"""`Card`: all that is printed, and on which paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from journeys.paper import A6, US, Paper

MM = 72 / 25.4
"""Points in a millimetre."""
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
