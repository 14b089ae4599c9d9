"""The builder's page: head, canvas or outline, panel, problems. Each part listens for its own topics and is drawn alone.

The component around them has no state, so that a click never sends the whole drawing again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.versions.publish import get_journey

from builder_ui.builder import bundle
from builder_ui.builder.canvas import bridge, canvas
from builder_ui.builder.editor import Editor
from builder_ui.builder.followed import story, way
from builder_ui.builder.head import head
from builder_ui.builder.metric_panel import figures
from builder_ui.builder.offers import suggestions
from builder_ui.builder.outline import outline
from builder_ui.builder.panel import panel, ways
from builder_ui.builder.problems import problems
from builder_ui.builder.stored import Stored, fetch
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_ref, use_state


class Opening:
    """What a builder begins with. Not a dataclass: ReactPy logs the arguments of a component that fails, and nobody may read these there."""

    def __init__(self, context: PageContext, stored: Stored) -> None:
        self.context, self.stored = context, stored


def view(context: PageContext, stored: Stored, _acts: Acts) -> Element:
    return builder(Opening(context, stored))


@component
def builder(opening: Opening) -> Element:
    """One open builder; a page that comes back after a lost connection is a new one with the old canvas."""
    held: Any = use_ref(None)
    if held.current is None:
        held.current = Editor(opening.context, opening.stored)
    editor: Editor = held.current
    context = opening.context
    use_effect(lambda: _begin(editor), [])
    use_effect(lambda: _follow(editor, context.query.get("run", "")), [])
    return html.div(
        {"className": "pfb"},
        head(editor),
        html.div(
            {"className": "pfb-body"},
            work(editor, html.div({"className": "pfb-canvas"}, canvas(editor)), bridge(editor)),
            side(editor),
        ),
        suggestions(editor),
    )


def _begin(editor: Editor) -> Callable[[], None]:
    editor.begin()
    return editor.close


def _follow(editor: Editor, run_id: str) -> None:
    """An address that names a run opens on its way."""
    if run_id:
        editor.follow_somebody(run_id)


@component
def work(editor: Editor, drawing: Element, news: Element) -> Element:
    """Canvas or outline; the canvas stays where it is, because undo lives in it."""
    shown, show = use_state("")

    def update() -> None:
        show("followed" if editor.path is not None else "outlined" if editor.outlined else "")

    def begin() -> Callable[[], None]:
        update()
        return editor.listen(("outline", "path"), update)

    use_effect(begin, [])
    place = {"className": f"pfb-work {shown}".strip()}
    return html.div(
        place,
        drawing,
        news,
        outline(editor) if shown == "outlined" else None,
        way(editor) if shown == "followed" else None,
    )


@component
def side(editor: Editor) -> Element:
    """The form of what is chosen; the story where somebody's way is shown."""
    use_topics(editor, "path")
    if editor.path is not None:
        return html.aside(
            {"key": "path", "className": "pfb-side", "aria-label": editor.t("Path of a contact")},
            html.div({"className": "pfb-panel"}, story(editor)),
        )
    return html.aside(
        {"key": "form", "className": "pfb-side", "aria-label": editor.t("Form")},
        html.div({"className": "pfb-panel"}, figures(editor), panel(editor), ways(editor)),
        problems(editor),
    )


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return get_journey(session, context.arguments["key"]).name


PAGE = Page(
    "/ui/journeys/{key}/edit",
    "Builder",
    "journeys",
    "journey.read",
    fetch,
    view,
    name=name,
    assets=bundle.assets(),
)
