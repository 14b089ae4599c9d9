"""Postcards: HTML of one side and words of the other become a PDF for a printer and pictures for a page. Pure but for the fonts beside it.

`side` reads the HTML, `layout` says where everything stands, `pdf` and `picture` draw the same. Nothing here opens an address or a file of
somebody else's: pictures come along as bytes.
"""

from activities.rendering.cards.card import Card
from activities.rendering.cards.side import faults, sources
from journeys.paper import A6, US, Paper

__all__ = ["A6", "US", "Card", "Paper", "faults", "sources"]
