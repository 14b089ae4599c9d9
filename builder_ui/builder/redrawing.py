"""Parts that are drawn again only when what they show has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builder_ui.builder.editor import Editor
from builder_ui.kit.reactpy_compat import use_effect, use_ref, use_state


def use_mark(editor: Editor, mark: Callable[[], Any]) -> None:
    """Draws the component again when what it shows has changed: forms are long, and most changes are not theirs."""
    _, count = use_state(0)
    shown: Any = use_ref(None)
    shown.current = mark()

    def look() -> None:
        if mark() != shown.current:
            count(lambda n: n + 1)

    def begin() -> Callable[[], None]:
        look()
        return editor.listen(("panel",), look)

    use_effect(begin, [])
