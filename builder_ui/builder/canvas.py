"""The canvas: drawn once; from then on it hears of changes through the bridge."""

from __future__ import annotations

import json
from typing import Any

from builder_ui.builder import bundle, canvas_texts, cards
from builder_ui.builder.editor import Editor
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component

CANVAS_ID = "journey"


@component
def canvas(editor: Editor) -> Element:
    """Drawn once; from then on the canvas hears of changes through the bridge."""
    t, palette = editor.t, editor.context.engine.palette
    drawing, _ = bundle.components()
    return drawing(
        {
            "id": CANVAS_ID,
            "session": editor.id,
            "initial": _text(editor.graph()),
            "journey": editor.journey.key,
            "name": editor.journey.name,
            "palette": _text(cards.palette_of(t, palette)),
            "texts": _text(canvas_texts.for_canvas(t)),
            "editable": editor.editable,
            "onEvent": editor.hear,
        }
    )


@component
def bridge(editor: Editor) -> Element:
    use_topics(editor, "feed")
    _, news = bundle.components()
    return news({"id": CANVAS_ID, "feed": _text(editor.feed())})


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
