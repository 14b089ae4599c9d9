"""A new segment: by a rule, from nothing or from a ready-made one, or kept by hand."""

from __future__ import annotations

from typing import Any

from builder_ui.builder import lookups
from builder_ui.builder.lookups import Lookups
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments.editor import LOOKS, editor
from builder_ui.segments.ready import READY
from builder_ui.segments.writing import Writing


def load(context: PageContext) -> Lookups:
    with context.engine.db.read() as session:
        return lookups.load(session, context.t)


def view(context: PageContext, data: Lookups, acts: Acts) -> Element:
    t, static = context.t, context.query.get("kind") == "static"
    head = components.head(
        t("New static segment") if static else t("New segment"),
        t("Kept by hand: people put contacts in and take them out.")
        if static
        else t("The rule says who belongs to it. Contacts enter and leave by themselves from then on."),
        back=("/ui/segments", t("Segments")),
    )
    if acts.drafts.get("key"):
        return html._(head, made(context, acts.drafts["key"]))
    begin = lambda: Writing(context, data, beginning(context))  # noqa: E731
    return html._(head, None if static else offered(context), editor(begin, acts, (), acts.drafts))


def made(context: PageContext, key: str) -> Element:
    """Where the way goes on; the editor is gone, so that nobody stores the same twice."""
    t = context.t
    return html.div(
        {"className": "actions"},
        html.a({"className": "button main", "href": f"/ui/segments/{key}"}, t("View segment")),
        html.a({"className": "button", "href": "/ui/segments"}, t("All segments")),
    )


def beginning(context: PageContext) -> dict[str, Any]:
    if context.query.get("kind") == "static":
        return {}
    ready = READY.get(context.query.get("from", ""))
    if ready is None:
        return {"rule": None}
    return {"name": context.t(ready.name), "description": context.t(ready.description), "rule": dict(ready.rule)}


def offered(context: PageContext) -> Element:
    t, chosen = context.t, context.query.get("from", "")
    links = [
        html.a(
            {
                "href": f"{context.path}?from={name}",
                "key": name,
                "title": t(one.description),
                "className": "tab here" if name == chosen else "tab",
                **({"aria-current": "true"} if name == chosen else {}),
            },
            t(one.name),
        )
        for name, one in READY.items()
    ]
    return html.div({"className": "bar"}, html.nav({"className": "tabs", "aria-label": t("Start with a ready-made one")}, links))


PAGE = Page("/ui/new-segment", "New segment", "segments", "segment.change", load, view, assets=LOOKS)
