"""The list of problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from journeys.errors import Issue

from builder_ui.builder.board import counted
from builder_ui.builder.editor import Editor
from builder_ui.builder.protocol import ENTRY
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html

MOST_SHOWN = 200


@component
def problems(editor: Editor) -> Element:
    use_topics(editor, "panel", "feed")
    t = editor.t
    errors = sum(issue.severity == "error" for issue in editor.issues)
    title = counted(t, errors, len(editor.issues) - errors) or t("No problems")
    ordered = sorted(editor.issues, key=lambda issue: issue.severity != "error")[:MOST_SHOWN]
    lines = [html.li({"key": str(n)}, problem(editor, issue)) for n, issue in enumerate(ordered)]
    return html.details(
        {"className": "pfb-problems", "open": bool(errors)},
        html.summary(components.icon("alert" if errors else "check"), " ", title),
        html.ul(lines) if lines else None,
    )


def problem(editor: Editor, issue: Issue) -> Element:
    """One problem; pressing it leads to where it is."""
    place = issue.node_id or ENTRY
    name = editor.names.get(place, editor.t("Journey"))
    jump: Callable[[Any], None] = lambda _event: editor.go_to(issue)  # noqa: E731
    attributes = {"type": "button", "className": f"pfb-problem {issue.severity}", "onClick": jump}
    return html.button(
        attributes,
        components.icon("alert"),
        html.span(html.b(name), ": ", issue.say(editor.t.translate)),
    )
