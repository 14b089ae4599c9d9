"""What publishing would do, before it is done."""

from __future__ import annotations

from typing import Any

from builder_ui.builder.editor import Editor
from builder_ui.builder.problems import MOST_SHOWN, problem
from builder_ui.kit import ahead, components
from builder_ui.kit.reactpy_compat import Element, component, html, use_ref


@component
def review(editor: Editor) -> Element:
    """What publishing would do, before it does it."""
    note = use_ref("")
    found, t = editor.review, editor.t
    if found is None:
        return None

    def noted(event: Any) -> None:
        note.current = str(event["target"].get("value") or "")

    errors = [
        html.li({"key": str(n)}, problem(editor, issue))
        for n, issue in enumerate(found.errors[:MOST_SHOWN])
    ]
    warnings = [
        html.li({"key": str(n)}, problem(editor, issue))
        for n, issue in enumerate(found.warnings[:MOST_SHOWN])
    ]
    changes = [
        html.li({"key": str(n)}, change) for n, change in enumerate(found.changes[:MOST_SHOWN])
    ]
    inside = t(
        "Contacts in it now: {count}. They stay on the version they entered.",
        count=t.number(found.inside),
    )
    what = (
        html.p(t("This is the first version: contacts enter from now on."))
        if found.first
        else html.ul({"className": "pfb-changes"}, changes)
    )
    if not found.first and not changes:
        what = html.p(t("Nothing changed since the live version."))
    go = html._(
        html.input(
            {
                "type": "text",
                "aria-label": t("Note"),
                "placeholder": t("What changed, for your team (optional)"),
                "maxLength": 500,
                "onBlur": noted,
            }
        ),
        components.button(
            t("Publish now"),
            lambda _event: editor.spawn(editor.publish, note.current),
            "play",
            "main",
        ),
    )
    return html.section(
        {"className": "pfb-review", "aria-label": t("Before publishing")},
        html.h2(t("This cannot go live yet") if errors else t("This will change")),
        html.ul({"className": "pfb-changes"}, errors) if errors else what,
        html._(html.h3(t("Warnings")), html.ul({"className": "pfb-changes"}, warnings))
        if warnings
        else None,
        html.p({"className": "quiet"}, inside) if found.inside and not errors else None,
        ahead.shown(t, found.ahead) if not errors else None,
        html.div(
            {"className": "actions"},
            go if not errors else None,
            components.button(t("Not now"), lambda _event: editor.cancel_review()),
        ),
    )
