"""A rendered card with its pictures and its address, ready for whoever draws or prints it."""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import Rendered
from activities.rendering.cards import Card, sources
from activities.rendering.cards.side import INSIDE, OWN
from journeys import postal
from journeys.channels import CHANNELS
from models import PictureFile
from storage.postal_addresses import country_name

MAX_BYTES = 20_000_000
"""Of all pictures of one card."""


def card_of(session: Session, rendered: Rendered) -> Card:
    """The card without its address. A picture that is not there any more is left out, and whoever draws the card says so."""
    parts = rendered.parts
    return Card(
        rendered.html,
        rendered.text,
        parts.get("objection", ""),
        parts.get("objection_url", ""),
        parts.get("sender", ""),
        pictures=_pictures(session, rendered.html),
    )


def addressed(card: Card, channel: str, address: str, language: str) -> Card:
    """The card with the lines of a stored address; the country on the last one, in capitals (UPU)."""
    found = postal.parse(address)
    if not found.text:
        return replace(card, to=(CHANNELS[channel].shown(address),) if channel in CHANNELS else (address,))
    return replace(card, to=(*found.lines(), country_name(found.country, language).upper()))


def _pictures(session: Session, front: str) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for source in sources(front):
        address = html.unescape(source).strip()
        content = _inside(address) if INSIDE.fullmatch(address) else _of_the_library(session, address)
        if content and sum(map(len, found.values())) + len(content) <= MAX_BYTES:
            found[address] = content
    return found


def _inside(address: str) -> bytes | None:
    try:
        return base64.b64decode(address.partition(",")[2])
    except (binascii.Error, ValueError):
        return None


def _of_the_library(session: Session, address: str) -> bytes | None:
    """The largest file of a picture: paper shows more than a screen. Journeys go on with one that was deleted meanwhile, as long as it is kept."""
    named = OWN.fullmatch(address)
    if named is None:
        return None
    statement = select(PictureFile.content).where(PictureFile.picture_id == named[2]).order_by(col(PictureFile.width).desc()).limit(1)
    return session.scalar(statement)
