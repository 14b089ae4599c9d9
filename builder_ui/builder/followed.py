"""One contact's way on the canvas: whom to follow, and what happened to them."""

from __future__ import annotations

from typing import Any

from builder_ui.builder import viewer, widgets
from builder_ui.builder.editor import Editor
from builder_ui.kit import components, run_timeline
from builder_ui.kit import forms as plain_forms
from builder_ui.kit.labels import RUN_STATES
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, submitted

WHOM = plain_forms.Field("whom", "Name or e-mail", "search", most=200)


@component
def way(editor: Editor) -> Element:
    """The drawing of the run's version with its visits by number."""
    use_topics(editor, "path")
    path = editor.path
    if path is None or path.story is None:
        return (
            html.div(
                {"className": "pfb-sheet empty"}, html.p(editor.t("Choose a run on the right."))
            )
            if path
            else None
        )
    return viewer.viewer(
        editor.context,
        f"path-{path.run_id}-{path.story.story['run']['version_number']}",
        path.graph,
        path.marks,
        path.focus,
        path.hear,
        True,
    )


@component
def story(editor: Editor) -> Element:
    """Whom to follow, and what happened to them."""
    use_topics(editor, "path")
    path, t = editor.path, editor.t
    if path is None:
        return None

    def sent(event: Any) -> None:
        values = plain_forms.read(event, [WHOM])
        if values is not None:
            editor.spawn(path.search, values["whom"])

    field = {"id": "pfb-whom", "type": "search", "defaultValue": path.text, "maxLength": 200}
    return html._(
        html.h2(
            html.span({"className": "pfb-card-icon pfb-g-entry"}, components.icon("user")),
            t("Path of a contact"),
        ),
        html.form(
            {"className": "pfb-field", "role": "search", "onSubmit": submitted(sent)},
            html.label({"htmlFor": "pfb-whom"}, t("Name or e-mail")),
            html.div(
                {"className": "pfb-row"},
                html.input(field),
                html.button({"className": "pfb-small"}, t("Find")),
            ),
        ),
        html.p({"className": "pfb-wrong", "role": "alert"}, components.icon("alert"), path.wrong)
        if path.wrong
        else None,
        _candidates(editor, path),
        _told(editor, path) if path.story else None,
    )


def _candidates(editor: Editor, path: Any) -> Element:
    """Whom to choose from. One ear for all, which stays while the list is drawn anew: a press on what was there counts, whatever comes meanwhile."""

    def pressed(event: Any) -> None:
        run_id = str(event["target"].get("value") or "")
        if run_id:
            editor.spawn(path.choose, run_id)

    return html.div({"key": "candidates", "onClick": pressed}, _runs(editor.t, path))


def _runs(t: Any, path: Any) -> Element:
    if path.runs is None:
        return html.p({"className": "quiet"}, t("Searching …"))
    title = t("Runs of “{name}”", name=path.text) if path.text else t("Newest runs")
    lines = [html.li({"key": run["id"]}, _candidate(t, path, run)) for run in path.runs]
    return html.details(
        {
            "className": "pfb-candidates",
            "open": path.story is None or bool(path.text),
            "key": f"{path.text}/{path.run_id}",
        },
        html.summary(title),
        html.ul(lines)
        if lines
        else html.p({"className": "quiet"}, t("No contact of that name was in this journey.")),
    )


def _candidate(t: Any, path: Any, run: dict[str, Any]) -> Element:
    state = RUN_STATES[run["status"]]
    attributes = {
        "type": "button",
        "className": "pfb-problem",
        "value": run["id"],
        "aria-pressed": str(run["id"] == path.run_id).lower(),
    }
    name = path.names.get(run["contact_id"]) or t("Contact {id}", id=run["contact_id"][-6:])
    return html.button(
        attributes,
        html.span(html.b(name), html.br(), t.moment(run["started_at"])),
        components.badge(t(state[0]), *state[1:]),
    )


def _told(editor: Editor, path: Any) -> Element:
    """The chapters of the run's page under their numbers; a number leads to its card."""

    t, data, context = editor.t, path.story, editor.context
    run = data.story["run"]
    chapters = run_timeline.chapters(data.story) if data.story["trail"] else []
    upcoming = run_timeline.next_line(context, data)
    return html.section(
        {"key": path.run_id, "aria-label": t("What happened")},
        html.h3(
            data.name
            or data.story["contact"]["email"]
            or t("Contact {id}", id=run["contact_id"][-6:])
        ),
        html.p(
            {"className": "quiet"},
            t("Version {number}", number=run["version_number"]),
            " · ",
            html.a({"href": f"/ui/runs/{run['id']}"}, t("Run")),
            " · ",
            html.a({"href": f"/ui/contacts/{run['contact_id']}"}, t("Contact")),
        ),
        html.ol(
            {"className": "timeline pfb-chapters"},
            [_chapter_of(editor, path, one, n) for n, one in enumerate(chapters, 1)],
            upcoming,
        ),
    )


def _chapter_of(editor: Editor, path: Any, chapter: Any, number: int) -> Element:

    jump = widgets.small(
        str(number),
        lambda _event: path.show(chapter.node),
        editor.t("Show visit {number} on the canvas", number=number),
    )
    here = " here" if chapter.node == path.focus[1] else ""
    item = run_timeline.chapter_item(editor.context, path.story, chapter, str(number))
    return html.li({"key": str(number), "className": f"pfb-visit{here}"}, jump, html.ol(item))
