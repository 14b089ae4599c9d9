"""A drawing to look at and not to change: any version, two of them compared, or one contact's way through it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.builder import bundle, canvas_texts
from builder_ui.kit.components import ICONS
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html

Marks = dict[str, dict[str, Any]]
"""Node or edge id -> {"tone", "sign", "said", "lines"}: how it is drawn, the symbol on it, the same in words, and what stands under it."""


def viewer(
    context: PageContext,
    key: str,
    graph: Mapping[str, Any],
    marks: Marks,
    focus: tuple[int, str] = (0, ""),
    heard: Callable[[object], None] | None = None,
    quiet: bool = False,
) -> Element:
    """The canvas without a pencil. `key` names the drawing: another key, another drawing. `focus` is (turn, node id): a new turn brings it
    into view. `quiet` dims what carries no mark."""
    return html.div(
        {"className": "pfb-sheet", "key": key},
        bundle.viewer()(
            {
                "id": key,
                "graph": _text(graph),
                "marks": _text(marks),
                "focus": _text(list(focus)),
                "icons": _text(dict(ICONS)),
                "texts": _text(canvas_texts.for_canvas(context.t)),
                "quiet": quiet,
                "onEvent": heard or _nobody,
            }
        ),
    )


def _nobody(_text: object) -> None:
    return None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
