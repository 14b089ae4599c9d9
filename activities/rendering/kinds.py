"""The kinds of template: one for each channel on which messages leave, texts for whoever else sends some, and pieces of mails.

Rendering and editor ask a kind for its parts and never for its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from journeys.channels import CHANNELS, Part, TemplateKind

PARTIAL = "partial"
"""The kind of pieces that mails include; no message itself."""
TEXT = "text"

_TEXT = TemplateKind(
    label="Text",
    icon="megaphone",
    start_label="Text",
    start_help="A text with a title, for other channels.",
    parts=(Part("subject", "Subject", "line"), Part("text", "Text", "text", required=True)),
)
_PARTIAL = TemplateKind(
    label="Partial",
    icon="puzzle",
    start_label="Partial",
    start_help="A block shared by several e-mails: header, footer, product card.",
    parts=(Part("mjml", "Source (MJML)", "mjml", required=True),),
    usage="Labels and usage",
)
KINDS: Mapping[str, TemplateKind] = {
    **{name: channel.template for name, channel in CHANNELS.items() if channel.sendable and channel.template is not None},
    TEXT: _TEXT,
    PARTIAL: _PARTIAL,
}
"""In the order in which pages show them."""
PARTS: Mapping[str, tuple[str, ...]] = {name: tuple(part.name for part in kind.parts) for name, kind in KINDS.items()}
HTML = tuple(name for name, kind in KINDS.items() if kind.is_html)
"""Kinds that are compiled to HTML and shown as a mail."""

FRAMED = tuple(name for name, kind in KINDS.items() if kind.is_html or kind.is_card)
"""Kinds whose preview is a page of its own."""

if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[tuple(KINDS)]
    """The type of a field that names a kind: an `enum` in JSON Schema."""


FIELDS = frozenset({"subject", "preheader", "mjml", "text"})
"""Parts that have a place of their own in a rendered message; all others travel by their names (`Rendered.parts`)."""


def further_parts(kind: str) -> tuple[Part, ...]:
    """The parts of a kind that travel by their names."""
    return tuple(part for part in KINDS[kind].parts if part.name not in FIELDS and part.format != "card")


def needs_unsubscribe(kind: str) -> bool:
    """Whether a marketing message of this kind must show a way to unsubscribe."""
    return kind in CHANNELS and CHANNELS[kind].needs_unsubscribe
