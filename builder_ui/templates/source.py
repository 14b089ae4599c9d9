"""The texts of one language as they are written. The fields themselves belong to the browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from activities.rendering.compile import most_characters
from activities.rendering.hints import LONG_SUBJECT
from activities.rendering.kinds import KINDS
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, optgroup, use_ref
from builder_ui.templates import blocks, bundle, snippets
from builder_ui.templates.approved import finding_approved
from builder_ui.templates.session import Writing
from builder_ui.templates.words import part_title
from journeys.channels import Approved, Part

PHRASES = (
    "Find", "Replace", "next", "previous", "all", "match case", "by word", "regexp", "replace", "replace all", "close", "Go to line", "go",
    "current match", "replaced $ matches", "replaced match on line $", "on line", "Fold line", "Unfold line", "Folded lines", "Unfolded lines",
    "folded code", "unfold", "Control character",
)  # fmt: skip
"""What CodeMirror says."""
FACES = {"blocks": ("Building blocks", "layout"), "source": ("MJML source", "code")}
KEYS = {
    "source": "Tab indents; press Esc, then Tab to leave the field. Ctrl+F searches, Ctrl+S saves.",
    "blocks": "Tab goes from block to block; Enter edits, Alt+↑ and Alt+↓ move, Del deletes, Ctrl+D duplicates, Ctrl+Z takes back.",
}


@component
def source(writing: Writing) -> Element:
    """The fields. They are the browser's: drawn again only for another language, or when texts were set from here."""
    use_topics(writing, "source")
    approved = KINDS[writing.stored.kind].approved
    parts = [part for part in KINDS[writing.stored.kind].parts if approved is None or part.name not in approved.parts]
    lines = [part for part in parts if part.format in ("line", "url", "picture")]
    long, *own = [part for part in parts if part.format in ("mjml", "card", "text")]
    is_made = KINDS[writing.stored.kind].is_html
    return html.div(
        {"className": "tpl-fields"},
        [_line(writing, part) for part in lines],
        inserting(writing),
        html.h2({"className": "tpl-part"}, writing.t(part_title(writing, long.name))) if approved else None,
        faces(writing) if long.name == "mjml" else None,
        blocks.editor(writing, _field(writing, long.name)) if writing.face == "blocks" else _source(writing, long.name),
        [
            html.details(
                {"key": part.name, "className": "tpl-own", "open": not is_made or bool(writing.text(part.name))},
                html.summary(writing.t("Own plain text (otherwise made from the e-mail)" if is_made else part.title)),
                _source(writing, part.name),
            )
            for part in own
        ],
        _approved(writing, approved) if approved else None,
        html.p({"className": "tpl-keys"}, writing.t(KEYS[writing.face])),
    )


def faces(writing: Writing) -> Element:
    """The switch between blocks and source: two views of the same text."""
    t = writing.t
    return html.div(
        {"className": "tpl-faces tabs", "role": "group", "aria-label": t("How the mail is edited")},
        [
            html.button(
                {
                    "key": face,
                    "type": "button",
                    "className": "tab here" if face == writing.face else "tab",
                    "aria-pressed": str(face == writing.face).lower(),
                    "onClick": lambda _event, face=face: writing.turn_face(face),
                },
                components.icon(icon),
                t(title),
            )
            for face, (title, icon) in FACES.items()
        ],
    )


def _approved(writing: Writing, approved: Approved) -> Element:
    """The fields of the form that goes where free text may not."""
    t, id_part = writing.t, KINDS[writing.stored.kind].part(approved.id)
    assert id_part is not None, "a kind with an approved form has its parts"
    return html.fieldset(
        {"className": "tpl-approved"},
        html.legend(t(approved.title)),
        html.p({"className": "quiet"}, t(approved.help)),
        finding_approved(writing),
        _line(writing, id_part),
        [
            html._({"key": part}, html.h3({"className": "tpl-part"}, t(part_title(writing, part))), _source(writing, part))
            for part in (approved.wording, approved.values)
        ],
    )


def _field(writing: Writing, part: str) -> dict[str, Any]:
    return {
        "id": writing.stored.key,
        "place": f"{writing.locale}/{part}",
        "initial": writing.text(part),
        "generation": writing.generation,
        "settled": writing.settled,
        "editable": writing.editable,
    }


def _line(writing: Writing, part: Part) -> Element:
    _, line, _, _ = bundle.components()
    field = f"tpl-{part.name}"
    shown = part.max_chars or (LONG_SUBJECT if part.name == "subject" else 0)
    more = {"field": field, "most": most_characters(part), "shown": shown}
    return html.div(
        {"key": part.name, "className": "tpl-line"},
        html.label({"htmlFor": field}, writing.t(part.title)),
        line({**_field(writing, part.name), **more}),
    )


def _source(writing: Writing, part: str) -> Element:
    _, _, area, _ = bundle.components()
    t = writing.t
    more = {"language": part, "label": t(part_title(writing, part)), "phrases": as_json({one: t(one) for one in PHRASES})}
    return html.div({"key": f"source-{part}", "className": "tpl-source"}, area({**_field(writing, part), **more}))


@component
def inserting(writing: Writing) -> Element:
    """What can be put in at the cursor; the button carries the choice out."""
    t = writing.t
    wish, otherwise = use_ref(""), use_ref("")
    if not writing.editable:
        return None
    groups = snippets.groups(
        t,
        writing.stored.kind,
        writing.locale,
        writing.stored.fields,
        writing.stored.pieces,
        writing.stored.properties,
        writing.stored.coupons,
    )
    texts = {f"{n}.{m}": one.text for n, (_, entries) in enumerate(groups) for m, one in enumerate(entries)}

    def chosen(event: Mapping[str, Any]) -> None:
        wish.current = str(event["target"].get("value") or "")

    def missing(event: Mapping[str, Any]) -> None:
        otherwise.current = str(event["target"].get("value") or "")[:100]

    def put(_event: Any) -> None:
        if wish.current in texts:
            writing.ask(text=snippets.with_fallback(texts[wish.current], otherwise.current))

    options = [
        optgroup(
            {"key": str(n), "label": title},
            [html.option({"key": f"{n}.{m}", "value": f"{n}.{m}"}, one.name) for m, one in enumerate(entries)],
        )
        for n, (title, entries) in enumerate(groups)
    ]
    return html.div(
        {"className": "tpl-insert"},
        html.label({"htmlFor": "tpl-insert"}, t("Insert")),
        html.select(
            {"id": "tpl-insert", "onChange": chosen},
            html.option({"key": "", "value": ""}, t("Field, link, block or partial …")),
            options,
        ),
        html.input(
            {
                "type": "text",
                "aria-label": t("If it is missing"),
                "placeholder": t("If it is missing"),
                "maxLength": 100,
                "autoComplete": "off",
                "onBlur": missing,
            }
        ),
        html.button({"type": "button", "className": "button", "onClick": put}, t("Insert")),
    )


@component
def wire(writing: Writing) -> Element:
    use_topics(writing, "feed")
    news, *_ = bundle.components()
    return news({"id": writing.stored.key, "session": writing.id, "feed": as_json(writing.feed()), "onEvent": writing.hear})


def as_json(value: Any) -> str:
    """A value as one argument of a component of the browser."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
