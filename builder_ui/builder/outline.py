"""The journey as a list, for keyboard and screen reader."""

from __future__ import annotations

from typing import Any

from builder_ui.builder import cards, widgets
from builder_ui.builder.editor import Editor
from builder_ui.builder.panel import follow
from builder_ui.builder.protocol import ENTRY, MAX_NOTE_CHARACTERS
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html


@component
def outline(editor: Editor) -> Element:
    """The journey as a list: every step once, in the order of its ways, with what follows each outlet."""
    use_topics(editor, "outline")
    t = editor.t
    order = cards.in_order(editor.draft, editor.views)
    undo = html.div(
        {"className": "pfb-row"},
        widgets.small(t("Undo"), lambda _event: editor.command("undo")),
        widgets.small(t("Redo"), lambda _event: editor.command("redo")),
    )
    lines = [_line(editor, id, place) for place, id in enumerate([ENTRY, *order])]
    steps = html.ol({"aria-label": t("Steps")}, lines)
    return html.div(
        {"className": "pfb-outline"}, undo if editor.editable else None, steps, _notes(editor)
    )


def _notes(editor: Editor) -> Element:
    """The notes of the canvas, to read and to write on."""
    t, notes = editor.t, editor.draft.notes
    if not notes and not editor.editable:
        return None
    lines = [
        _note(editor, id, note.text, place) for place, (id, note) in enumerate(notes.items(), 1)
    ]
    add = (
        widgets.small(t("Add a note"), lambda _event: editor.add_note())
        if editor.editable
        else None
    )
    return html.section(
        {"aria-label": t("Notes")},
        html.h3(t("Notes")),
        html.ol({"className": "pfb-notes"}, lines),
        add,
    )


def _note(editor: Editor, id: str, text: str, place: int) -> Element:
    t = editor.t

    def left(event: Any) -> None:
        editor.put_note(id, str(event["target"].get("value") or ""))

    field = {
        "aria-label": t("Note {number}", number=place),
        "defaultValue": text,
        "rows": 3,
        "maxLength": MAX_NOTE_CHARACTERS,
    }
    return html.li(
        {"key": f"{id}/{text}", "className": "pfb-line"},
        html.span({"className": "pfb-card-icon"}, components.icon("pencil")),
        html.textarea({**field, "onBlur": left, "disabled": not editor.editable}),
        widgets.small(
            t("Delete"),
            lambda _event: editor.remove_note(id),
            t("Delete note {number}", number=place),
            "danger",
        )
        if editor.editable
        else None,
    )


def _line(editor: Editor, id: str, place: int) -> Element:
    t, view = editor.t, editor.views[id]
    badge = editor.problems().get(id)
    here = id in editor.selection
    name = {
        "type": "button",
        "className": "pfb-name",
        "onClick": lambda _event: editor.select([id], show=True),
        "aria-pressed": str(here).lower(),
    }
    return html.li(
        {"key": id, "className": "pfb-line here" if here else "pfb-line"},
        html.span(
            {"className": f"pfb-card-icon pfb-g-{view['group']}"}, components.icon(view["icon"])
        ),
        html.div(
            html.button(name, f"{place}. " if place else "", view["called"]),
            html.p(
                {"className": "quiet"},
                view["label"] if view["name"] else None,
                " · " if view["name"] and view["summary"] else None,
                view["summary"],
            ),
            html.p(
                {"className": f"pfb-wrong {badge['severity']}"},
                components.icon("alert"),
                badge["text"],
            )
            if badge
            else None,
        ),
        widgets.small(
            t("Delete"),
            lambda _event: editor.remove(id),
            t("Delete step {number}", number=place),
            "danger",
        )
        if editor.editable and id != ENTRY
        else html.span(),
        html.div(
            {"className": "pfb-ways"}, [follow(editor, id, *outlet) for outlet in view["outlets"]]
        ),
    )
