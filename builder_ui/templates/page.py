"""The editor of one template: languages and texts on the left; on the right the message as a contact gets it, versions, and the label.

Each part listens for its own topics and is drawn alone; the fields themselves belong to the browser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from activities.rendering.kinds import KINDS
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_ref
from builder_ui.templates import block_rules, bundle
from builder_ui.templates.head import head
from builder_ui.templates.label import label
from builder_ui.templates.languages import tabs
from builder_ui.templates.looks import preview
from builder_ui.templates.session import Stored, Writing, fetch
from builder_ui.templates.source import source, wire
from builder_ui.templates.versions import versions


class Opening:
    """What an editor begins with. Not a dataclass: ReactPy logs the arguments of a component that fails, and nobody may read these there."""

    def __init__(self, context: PageContext, stored: Stored) -> None:
        self.context, self.stored = context, stored


def view(context: PageContext, stored: Stored, _acts: Acts) -> Element:
    return editor(Opening(context, stored))


@component
def editor(opening: Opening) -> Element:
    held: Any = use_ref(None)
    if held.current is None:
        held.current = Writing(opening.context, opening.stored)
    writing: Writing = held.current

    def begin() -> Callable[[], None]:
        writing.work_soon(0)
        writing.find_people("")
        return writing.close

    use_effect(begin, [])
    return html.div(
        {"className": "tpl"},
        head(writing),
        html.div(
            {"className": "tpl-body"},
            html.section({"className": "tpl-left", "aria-label": writing.t("Text")}, tabs(writing), source(writing), wire(writing)),
            html.section({"className": "tpl-right", "aria-label": writing.t("Preview")}, right(writing)),
        ),
        block_rules.editor(writing),
    )


@component
def right(writing: Writing) -> Element:
    use_topics(writing, "side")
    t = writing.t
    sides = {"preview": "Preview", "versions": "Versions", "label": KINDS[writing.stored.kind].usage}
    chosen = [
        html.button(
            {
                "key": side,
                "type": "button",
                "className": "tab here" if side == writing.side else "tab",
                "aria-pressed": str(side == writing.side).lower(),
                "onClick": lambda _event, side=side: writing.turn(side),
            },
            t(title),
        )
        for side, title in sides.items()
    ]
    shown = {"preview": preview, "versions": versions, "label": label}[writing.side]
    return html._(
        html.div({"className": "tpl-tabs"}, html.div({"className": "tabs", "role": "group", "aria-label": t("Views")}, chosen)),
        html.div({"key": writing.side, "className": f"tpl-side {writing.side}"}, shown(writing)),
    )


PAGE = Page("/ui/templates/{key}", "Template", "templates", "template.read", fetch, view, assets=bundle.assets(), pictures=True)
