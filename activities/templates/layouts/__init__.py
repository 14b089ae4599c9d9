"""Layouts to begin a template with, in German and English. Read from the package; nothing is installed into a workspace here.

`<key>.json` names a layout, its kind (left out: the default channel’s), its subjects and preheaders by language, with the body beside it (`<key>.<language>.mjml`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from activities.rendering.kinds import KINDS, PARTIAL
from journeys.channels import DEFAULT, Part

KEYS = ("newsletter", "launch", "welcome", "cart", "review", "event", "winback", "birthday", "digest", "plain", "transactional")
BLANK_MJML = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
"""A mail of which nothing is written yet. It can be compiled, so that a new template has a version from the start."""

BLANK_FRONT = """<div style="position: absolute; left: 10mm; top: 40mm; width: 128mm">
  <h1 style="text-align: center">…</h1>
</div>
"""

BLANK_PARTIAL = """<mj-section>
  <mj-column>
    <mj-text></mj-text>
  </mj-column>
</mj-section>
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """`name` and `description` are English texts for translation; `variants` is as a stored template holds them."""

    key: str
    name: str
    description: str
    message_class: str
    kind: str
    variants: Mapping[str, Mapping[str, str]]


@cache
def layouts() -> tuple[Layout, ...]:
    """Every layout, in the order in which it is shown."""
    return tuple(_layout(key) for key in KEYS)


def beginning(layout: str, kind: str) -> tuple[Mapping[str, Mapping[str, str]], str | None]:
    """(variants, class) a new template of that kind starts with; an unknown or empty layout gives a blank one, and no class."""
    chosen = next((one for one in layouts() if one.key == layout), None)
    if chosen is not None and chosen.kind == kind:
        return chosen.variants, chosen.message_class
    blank = {part.name: _blank(part, kind) for part in KINDS[kind].parts if part.name in KINDS[kind].beginning} if kind in KINDS else {}
    return {"default": blank}, None


def _blank(part: Part, kind: str) -> str:
    if part.format == "card":
        return BLANK_FRONT
    if part.format != "mjml":
        return "…"
    return BLANK_PARTIAL if kind == PARTIAL else BLANK_MJML


def _layout(key: str) -> Layout:
    here = files("activities.templates.layouts")
    about = json.loads((here / f"{key}.json").read_text("utf-8"))
    variants = {
        language: {**about["texts"][language], "mjml": (here / f"{key}.{language}.mjml").read_text("utf-8")} for language in about["texts"]
    }
    return Layout(key, about["name"], about["description"], about["message_class"], about.get("kind", DEFAULT), variants)
