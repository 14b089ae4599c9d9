"""What several parts of the template pages say in the same way."""

from __future__ import annotations

from typing import Any

from activities.rendering.kinds import KINDS
from activities.templates.partials import Behind
from builder_ui.kit import components
from builder_ui.kit.reactpy_compat import Element
from builder_ui.templates.session import Writing

CLASSES = {"marketing": "Marketing", "transactional": "Transactional"}


MOST_SHOWN = 60


def class_badge(t: Any, one: Any) -> Element:
    """The class of a template; a partial has none."""
    if one.kind == "partial":
        return None
    return components.badge(t(CLASSES[one.message_class]), "", "megaphone" if one.message_class == "marketing" else "clipboard-check")


def older_text(t: Any, one: Behind) -> str:
    """`uses footer, version 2; there is version 3`"""
    return str(
        t("uses {partial}, version {version}; there is version {newest}", partial=one.partial, version=one.version, newest=one.newest)
    )


def locale_name(t: Any, locale: str) -> str:
    """`de` -> German; `default` in words."""
    return str(t("Default") if locale == "default" else t.language_of(locale))


def part_title(writing: Writing, part: str) -> str:
    """What the field of a part is called; a version from when the kind had other parts shows its name."""
    known = KINDS[writing.stored.kind].part(part)
    return known.title if known else part
