"""The metrics of a step in its panel."""

from __future__ import annotations

from typing import Any

from builder_ui.builder import metrics
from builder_ui.builder.editor import Editor
from builder_ui.builder.protocol import ENTRY
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html


@component
def figures(editor: Editor) -> Element:
    """The numbers of the chosen step in words, each leading to the contacts behind it."""
    use_topics(editor, "panel", "numbers")
    id = editor.selection[0] if editor.selection else ENTRY
    if editor.figures is None or len(editor.selection) > 1:
        return None
    found = editor.figures.get(id, {})
    return html.section(
        {"className": "pfb-figures", "aria-label": editor.t("Metrics")},
        html.p({"className": "quiet"}, _period(editor)),
        html.dl(
            [
                _figure(editor, id, what, found[what])
                for what in metrics.NAMES
                if what in found and what not in ("skipped", "refused")
            ]
        ),
        [
            _reasons(editor, id, what, found[what])
            for what in ("skipped", "refused")
            if found.get(what)
        ],
    )


def _period(editor: Editor) -> str:
    """Of which time and which versions the numbers are."""
    t = editor.t
    day = t.written(editor.since.astimezone(t.zone).date()) if editor.since else "–"
    if editor.counted_version is None:
        return str(t("All versions, since {day}", day=day))
    return str(t("Version {number}", number=editor.counted_version))


def _figure(editor: Editor, id: str, what: str, count: int | None) -> Element:
    t = editor.t
    name = "inside" if id == ENTRY and what == "waiting" else what
    if count is None:
        return html.div({"key": what}, html.dt(t(metrics.NAMES[name])), html.dd("–"))
    whole = (
        (editor.figures or {})
        .get(id, {})
        .get("entered" if what in ("ended", "goal") else "sent", 0)
    )
    share = (
        f" ({t.share(count, whole)})"
        if what in ("opened", "clicked", "bounced", "goal", "ended") and whole
        else ""
    )
    text, link = (
        t(metrics.NAMES[name]),
        metrics.address(editor.journey.key, id, what, version=editor.counted_version),
    )
    return html.div(
        {"key": what},
        html.dt(text),
        html.dd(
            html.a({"href": link, "aria-label": f"{t.number(count)} {text}"}, t.number(count)),
            share,
        ),
    )


def _reasons(editor: Editor, id: str, what: str, reasons: list[list[Any]]) -> Element:
    """`Not sent: 12 no consent, 3 quiet hours`"""
    t = editor.t
    said: list[Element] = []
    for code, text, count in reasons:
        link = metrics.address(
            editor.journey.key,
            id,
            what,
            code,
            editor.counted_version if what != "refused" else None,
        )
        shown = f"{t.number(count)} {text}" if what == "skipped" else f"{text} ({t.number(count)})"
        said.append(html.a({"key": code, "href": link}, shown))
    return html.p(
        {"key": what},
        t("Not sent:") if what == "skipped" else t("Not enrolled:"),
        " ",
        _joined(said),
    )


def _joined(elements: list[Element]) -> list[Element]:
    return [
        one for n, element in enumerate(elements) for one in ((", ", element) if n else (element,))
    ]
