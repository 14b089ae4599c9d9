"""Steps that two people changed at once: what each of them has, field by field, and the choice between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from journeys import conflicts
from journeys.document import Journey
from journeys.errors import PfadwerkError
from journeys.merge import START, Conflict
from journeys.nodes import Node
from journeys.reading import read

from builder_ui.builder import cards
from builder_ui.builder.editor import Editor
from builder_ui.builder.journey_form import title_of
from builder_ui.kit import components, labels
from builder_ui.kit.reactpy_compat import Element, html

MOST_SHOWN = 20
LONGEST = 400


@dataclass(frozen=True, slots=True)
class Side:
    """Whose a version is, and when it was saved."""

    name: str
    at: str


def disputes(editor: Editor) -> Element:
    """All that wait for a choice; nothing where there is none."""
    t, found = editor.t, _by_place(editor.conflicts)
    if not found:
        return None
    document = editor.draft.document()
    return html.section(
        {"className": "pfb-disputes", "aria-labelledby": "pfb-disputes", "role": "region"},
        html.h2(
            {"id": "pfb-disputes"}, components.icon("alert"), t("Changed by two people at once")
        ),
        html.p(
            {"className": "quiet"},
            t("Choose which version counts. Both are kept until then; nothing goes live before."),
        ),
        [
            _dispute(editor, document, all, n)
            for n, all in enumerate(list(found.values())[:MOST_SHOWN])
        ],
    )


def _by_place(found: list[conflicts.Open]) -> dict[tuple[str, str], list[conflicts.Open]]:
    places: dict[tuple[str, str], list[conflicts.Open]] = {}
    for one in found:
        places.setdefault((one.place, one.by), []).append(one)
    return places


def _dispute(
    editor: Editor, document: dict[str, Any], all: list[conflicts.Open], number: int
) -> Element:
    """The versions of one step, or of the journey's own form."""
    first = all[0]
    name = _called(editor, first)
    quoted = editor.t("“{name}”", name=name)
    theirs, mine = _sides(editor, first)
    columns = ("", html._(theirs.name, _at(editor, theirs)), html._(mine.name, _at(editor, mine)))
    rows = [
        [html.b(title), before, after]
        for one in all
        for title, before, after in [_row(editor, document, one)]
    ]
    there = first.place == START or first.place in editor.draft.nodes
    title = html.button(
        {
            "type": "button",
            "className": "pfb-link",
            "onClick": lambda _event: editor.select([first.place], show=True),
        },
        quoted,
    )
    return html.article(
        {
            "key": f"{first.place}/{first.by}",
            "className": "pfb-dispute",
            "aria-labelledby": f"pfb-dispute-{number}",
        },
        html.h3({"id": f"pfb-dispute-{number}"}, title if there else quoted),
        _table(columns, rows),
        _choice(editor, first, name) if editor.editable else None,
    )


def _table(columns: tuple[Element, ...], rows: list[list[Element]]) -> Element:
    head = html.tr([html.th({"key": str(n), "scope": "col"}, one) for n, one in enumerate(columns)])
    body = [
        html.tr(
            {"key": str(n)}, html.th({"scope": "row"}, row[0]), html.td(row[1]), html.td(row[2])
        )
        for n, row in enumerate(rows)
    ]
    return html.table(html.thead(head), html.tbody(body))


def _called(editor: Editor, one: conflicts.Open) -> str:
    if one.place == START:
        return str(editor.t("Journey"))
    if one.place == "note":
        return str(editor.t("Note"))
    raw = one.mine["raw"] if len(one.path) == 2 and one.place not in editor.draft.nodes else None
    return editor.names.get(one.place) or (
        labels.names_in(editor.t, editor.context.engine.palette, {one.place: raw})[one.place]
        if raw
        else one.place
    )


def _sides(editor: Editor, one: conflicts.Open) -> tuple[Side, Side]:
    """(whose version the draft has, whose the other is)."""
    t, me = editor.t, editor.context.by
    if one.over == one.by:
        return Side(t("Saved first"), one.over_at), Side(t("Saved second"), one.at)
    theirs, mine = (
        t("Yours") if by == me else editor.name_of(by) if by else t("In the draft")
        for by in (one.over, one.by)
    )
    return Side(theirs, one.over_at), Side(mine, one.at)


def _at(editor: Editor, side: Side) -> Element:
    try:
        return html.small(" · ", editor.t.moment(datetime.fromisoformat(side.at)))
    except ValueError:
        return None


def _choice(editor: Editor, one: conflicts.Open, name: str) -> Element:
    t = editor.t
    theirs, mine = _sides(editor, one)

    def button(side: Side, other: bool) -> Element:
        if one.over == one.by:
            text = t("Take the second") if other else t("Take the first")
        elif not (one.by if other else one.over):  # nobody knows any more who saved it
            text = t("Keep it as in the draft")
        else:
            text = (
                t("Keep mine")
                if side.name == t("Yours")
                else t("Use {name}’s version", name=side.name)
            )
        return components.button(
            text,
            lambda _event: editor.decide(one.place, one.by, other),
            **{"aria-label": f"{text}: {name}"},
        )

    return html.div({"className": "actions"}, button(theirs, False), button(mine, True))


def _row(
    editor: Editor, document: dict[str, Any], one: conflicts.Open
) -> tuple[str, Element, Element]:
    """(title, what the draft has, what the other is)."""
    noun = one.path[0]
    if noun == "edges":
        return _way(editor, document, one)
    if noun == "nodes":
        return (
            _whole(editor, document, one) if len(one.path) == 2 else _field(editor, document, one)
        )
    if noun == "notes":
        return editor.t("Text"), _short(conflicts.current(document, one.path)), _short(one.mine)
    return _part(editor, document, one)


def _way(
    editor: Editor, document: Mapping[str, Any], one: conflicts.Open
) -> tuple[str, Element, Element]:
    t = editor.t
    outlet = labels.coded(t, labels.OUTLETS, one.path[2])
    title = t("First step") if one.path[1] == START else t("After “{outlet}”", outlet=outlet)
    there, other = (
        editor.names.get(to, to) if to else t("nothing yet")
        for to in (conflicts.current(document, one.path), one.mine)
    )
    return title, there, other


def _whole(
    editor: Editor, document: Mapping[str, Any], one: conflicts.Open
) -> tuple[str, Element, Element]:
    t, id = editor.t, one.path[1]

    def said(raw: Mapping[str, Any] | None) -> str:
        if raw is None:
            return str(t("deleted"))
        view = cards.view_of(t, editor.context.engine.palette, id, raw, editor.names)
        return ": ".join(part for part in (view["called"], view["summary"]) if part)

    return t("Step"), said(conflicts.current(document, one.path)), said(one.mine["raw"])


def _field(
    editor: Editor, document: Mapping[str, Any], one: conflicts.Open
) -> tuple[str, Element, Element]:
    t, palette = editor.t, editor.context.engine.palette
    _, id, name = one.path
    raw = document["nodes"][id]
    kind = (
        palette[raw["kind"]]
        if isinstance(raw.get("kind"), str) and raw["kind"] in palette
        else None
    )
    field = kind.model_fields.get(name) if kind else None

    def said(value: Any) -> str:
        if value is None:
            return "–"
        node = palette.parse(id, {**raw, name: value})
        known = isinstance(node, Node) and field is not None
        return (
            labels.value_in_words(t, getattr(node, name), editor.names) if known else _short(value)
        )

    title = t(field.title) if field and field.title else name
    return title, said(raw.get(name)), said(one.mine)


def _part(
    editor: Editor, document: dict[str, Any], one: conflicts.Open
) -> tuple[str, Element, Element]:
    """A part of the journey's own form: who enters, who leaves early and the goal in sentences, other values as they are."""
    t, name = editor.t, one.path[1]
    title = t(title_of(one.path[1:]))
    tell = _IN_WORDS.get(name)
    if tell is None:
        return title, _short(conflicts.current(document, one.path)), _short(one.mine)
    other = conflicts.with_mine(document, [Conflict(one.path, one.mine)])
    return title, tell(t, document, one.path), tell(t, other, one.path)


def _sentences(t: Any, document: Mapping[str, Any], path: tuple[str, ...]) -> str:
    name = path[1]
    if name in (document.get("ui") or {}).get("unfinished", {}):
        return str(t("Not complete yet"))
    try:
        journey = read(
            {
                "spec": 1,
                "key": "x",
                "name": "x",
                **({name: document[name]} if name in document else {}),
            }
        )
    except PfadwerkError:
        return str(t("Not complete yet"))
    return components.plain(" · ".join(_told(t, journey, name))) or "–"


def _told(t: Any, journey: Journey, name: str) -> list[str]:
    if name == "entry":
        return labels.entry(t, journey.entry)
    if name == "exit_when":
        return [labels.way_out(t, one) for one in journey.exit_when]
    return [labels.goal(t, journey.goal)] if journey.goal else []


_IN_WORDS = {"entry": _sentences, "exit_when": _sentences, "goal": _sentences}


def _short(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else "–"
        if value is None
        else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
