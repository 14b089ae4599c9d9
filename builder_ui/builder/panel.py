"""The panel: a step with its form and its edges, several steps, or the journey's own form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from journeys.errors import Issue

from builder_ui.builder import bundle, widgets
from builder_ui.builder.before import last_message
from builder_ui.builder.canvas import CANVAS_ID
from builder_ui.builder.editor import Editor
from builder_ui.builder.form import draw_object, draw_part
from builder_ui.builder.journey_form import JOURNEY_FORM
from builder_ui.builder.protocol import ENTRY
from builder_ui.builder.redrawing import use_mark
from builder_ui.builder.widgets import Form
from builder_ui.kit import components
from builder_ui.kit.labels import OUTLETS, coded
from builder_ui.kit.reactpy_compat import Element, component, html


@component
def panel(editor: Editor) -> Element:
    use_mark(editor, editor.form_mark)
    chosen = editor.selection
    if len(chosen) > 1:
        return many(editor, len(chosen))
    if chosen and chosen[0] != ENTRY and editor.raw(chosen[0]) is not None:
        return step_panel(editor, chosen[0])
    return journey_panel(editor)


@component
def ways(editor: Editor) -> Element:
    """What follows the chosen step, or the start."""
    use_mark(editor, editor.ways_mark)
    t, chosen = editor.t, editor.selection
    id = chosen[0] if chosen else ENTRY
    if len(chosen) > 1 or (id != ENTRY and id not in editor.draft.nodes):
        return None
    outlets = editor.views[id]["outlets"]
    remove = (
        widgets.small(t("Delete step"), lambda _event: editor.remove(id), tone="danger")
        if editor.editable and id != ENTRY
        else None
    )
    return html.section(
        {"key": id, "className": "pfb-part", "data-step": id},
        html.h3(t("What follows")) if outlets else None,
        html.div(
            {"className": "pfb-form"},
            html._([follow(editor, id, *outlet) for outlet in outlets]),
            remove,
        ),
    )


def many(editor: Editor, count: int) -> Element:
    t = editor.t
    return html._(
        html.h2(t("{count} steps selected", count=count)),
        html.p(
            {"className": "pfb-help"},
            t(
                "Ctrl+C copies them, Ctrl+D duplicates them, Delete deletes them. Choose one to see its form."
            ),
        ),
    )


def _form(editor: Editor, target: str) -> Form:
    prefix = "" if target == ENTRY else target
    issues: dict[str, list[Issue]] = {}
    for issue in editor.issues:
        if (issue.node_id or "") == prefix and issue.field:
            issues.setdefault(issue.field, []).append(issue)
    kinds = {id: str(raw.get("kind")) for id, raw in editor.draft.nodes.items()}
    return Form(
        editor.t,
        editor.lookups,
        target,
        editor.raw(target),
        lambda path, value, redraw: editor.edit(target, path, value, redraw),
        editor.generation,
        editor.editable,
        names=editor.names,
        kinds=kinds,
        issues=issues,
        keep_secret=editor.keep_secret if editor.context.may("secret.change") else None,
        last_message=last_message(editor.draft, editor.context.engine.palette, target),
        fresh=editor.fields.fresh(target),
    )


def step_panel(editor: Editor, id: str) -> Element:
    """The form of one step: its kind's fields, what follows, and its problems."""
    t, palette = editor.t, editor.context.engine.palette
    view, raw = editor.views[id], editor.raw(id) or {}
    kind = (
        palette[raw["kind"]]
        if isinstance(raw.get("kind"), str) and raw["kind"] in palette
        else None
    )
    body = (
        draw_object(_form(editor, id), kind.form())
        if kind
        else html.p(t("This kind of step is not installed here."))
    )
    return html.div(
        {"key": f"step/{id}", "className": "pfb-step", "data-step": id},
        html.h2(
            html.span(
                {"className": f"pfb-card-icon pfb-g-{view['group']}"}, components.icon(view["icon"])
            ),
            view["label"],
        ),
        help_of(t, kind) if kind else None,
        html._(
            general(editor, id)
        ),  # one place, however many: what comes behind keeps its own, and with it its handlers and its focus
        body,
    )


def general(editor: Editor, id: str) -> list[Element]:
    """Problems of a step that belong to none of its fields."""
    here = [
        issue
        for issue in editor.issues
        if issue.node_id == id and (not issue.field or issue.code == "missing_edge")
    ]
    return [
        html.p(
            {"key": f"general{n}", "className": f"pfb-wrong {issue.severity}", "role": "alert"},
            components.icon("alert"),
            issue.say(editor.t.translate),
        )
        for n, issue in enumerate(here)
    ]


def help_of(t: Any, kind: Any) -> Element:
    first, *more = [components.marked(t(paragraph)) for paragraph in kind.help()]
    if not more:
        return html.p({"className": "pfb-help"}, *first)
    return html.details(
        {"className": "pfb-help"},
        html.summary(*first),
        [html.p({"key": str(n)}, *one) for n, one in enumerate(more)],
    )


def follow(editor: Editor, id: str, outlet: str, label: str, spare: bool) -> Element:
    """Where an outlet leads: another step, a new one, or nowhere. The way to draw without a mouse.

    A choice is carried out by the button: a list changes with every key that moves in it. The browser fills the list from the drawing.
    """
    t = editor.t
    target = editor.draft.edges.get((id, outlet), "")
    field = f"pfb-follow-{id.strip('$')}-{outlet}"
    nothing = t("as “{outlet}”", outlet=coded(t, OUTLETS, "sent")) if spare else t("nothing yet")

    def chosen(value: object) -> None:
        editor.wishes[id, outlet] = str(value)

    def go(_event: Any) -> None:
        wish = editor.wishes.pop((id, outlet), target)
        if wish.startswith("+"):
            editor.add(wish[1:], id, outlet)
        elif wish != target:
            editor.connect(id, outlet, wish)

    value = editor.wishes.get((id, outlet), target)
    fresh = value[1:] if value.startswith("+") else ""
    kind = next((one for one in editor.context.engine.palette if one.kind == fresh), None)
    anew = t("{step} (new)")
    attributes = {
        "canvas": CANVAS_ID,
        "field": field,
        "step": id,
        "value": value,
        "named": anew.format(step=t(kind.label)) if kind else editor.names.get(value, value),
        "nothing": nothing,
        "fresh": t("New step, inserted"),
        "anew": anew,
        "old": t("Step of this journey"),
        "disabled": not editor.editable,
        "onEvent": chosen,
    }
    return html.div(
        {"className": "pfb-field", "key": f"{id}/{outlet}/{target}"},
        html.label({"htmlFor": field}, t("After “{outlet}”", outlet=label)),
        html.div(
            {"className": "pfb-row"},
            bundle.follow()(attributes),
            widgets.small(t("Set"), go, t("Set what follows “{outlet}”", outlet=label))
            if editor.editable
            else None,
        ),
    )


REMEDIES = {
    "no_imprint": "/ui/settings/workspace/appearance",
    "no_postal_address": "/ui/settings/workspace/sender",
}
"""Code of a problem that no form of the journey can mend -> the page that can."""


def remedy(t: Any, issue: Issue) -> list[Element]:
    """The way to where a problem of the workspace is mended; nothing for those of the journey."""
    address = REMEDIES.get(issue.code)
    link = {"href": address, "target": "_blank", "rel": "noopener"}
    return [" ", html.a(link, t("Open the settings"))] if address else []


def journey_panel(editor: Editor) -> Element:
    """The journey's own form: who enters, who leaves early, the goal, the settings."""
    t, form = editor.t, _form(editor, ENTRY)
    issues = [issue for issue in editor.issues if issue.node_id is None and not issue.field]
    wrong = [
        html.p(
            {"key": str(n), "className": f"pfb-wrong {one.severity}"},
            components.icon("alert"),
            one.say(t.translate),
            *remedy(t, one),
        )
        for n, one in enumerate(issues)
    ]
    return html.div(
        {"key": "journey", "className": "pfb-step", "data-step": ENTRY},
        html.h2(
            html.span({"className": "pfb-card-icon pfb-g-entry"}, components.icon("play")),
            t("Journey"),
        ),
        html.p({"className": "pfb-help"}, t("Choose a step on the canvas to see its form.")),
        html._(wrong),
        [_part(editor, form, name, title, schema) for name, title, schema in JOURNEY_FORM],
    )


def _part(editor: Editor, form: Form, name: str, title: str, schema: Any) -> Element:
    """One chapter of the journey's form. A closed one is a button and nothing else: forms are long."""
    t, opened = form.t, editor.chapter == name
    wrong = any(path == name or path.startswith(f"{name}.") for path in form.issues)
    said = (
        html.span({"className": "pfb-wrong"}, components.icon("alert"), t("not complete"))
        if wrong
        else None
    )
    attributes = {
        "type": "button",
        "className": "pfb-chapter",
        "aria-expanded": str(opened).lower(),
        "onClick": lambda _event: editor.open_chapter(name),
    }
    return html.section(
        {"key": name, "className": "pfb-part", "data-chapter": name},
        html.h3(html.button(attributes, t(title))),
        said,
        _chapter(form, name, schema) if opened else None,
    )


def _chapter(form: Form, name: str, schema: Any) -> Element:
    t = form.t
    if name != "goal":
        return draw_part(form, schema, () if name == "about" else (name,))
    if not isinstance(form.raw.get("goal"), dict):
        begin: Callable[[Any], None] = lambda _event: form.edit(("goal",), {"event": ""}, True)  # noqa: E731
        return widgets.small(t("Set a goal"), begin) if form.editable else html.p(t("No goal"))
    drop = (
        widgets.small(
            t("Remove the goal"), lambda _event: form.edit(("goal",), None, True), tone="danger"
        )
        if form.editable
        else None
    )
    return html._(draw_part(form, schema, (name,)), drop)
