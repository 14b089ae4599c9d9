"""How a form gets into a website: its own page, a script, or plain HTML."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.catalogue import field_titles
from crm.forms.definition import Definition, FormField
from journeys.catalogue import FIELD_TITLES
from locales import translator
from models import Form
from workspace import settings

LANGUAGES = {"en": "In English", "de": "In German"}


def view(context: PageContext, form: Form) -> Element:
    t, definition = context.t, Definition.model_validate(form.definition)
    address = f"{context.app.public_url}/f/{form.key}"
    return html.div(
        {"className": "stack"},
        note(context, form),
        panel(t("As a page of its own"), copied(context, "address", t("Its address"), address)),
        panel(
            t("With a script"),
            html.p(t("The form appears where this stands, or as a pop-up if it is set so. Nothing is loaded from anywhere else.")),
            html.p(
                {"className": "pfb-wrong", "role": "note"}, t("Add the hosts of your websites to the form first: only they can embed it.")
            )
            if not definition.hosts
            else None,
            copied(context, "script", t("HTML"), script(context.app.public_url, form.key)),
        ),
        panel(
            t("As plain HTML"),
            html.p(t("A plain form: no script, and nothing is loaded from here.")),
            *(
                copied(context, f"plain-{language}", t(text), plain(context, form, definition, language))
                for language, text in LANGUAGES.items()
            ),
        )
        if definition.plain
        else panel(t("As plain HTML"), html.p({"className": "quiet"}, t("Allow it under “Websites” in the form first."))),
    )


def note(context: PageContext, form: Form) -> Element:
    if form.state == "live":
        return None
    text = context.t("The form is not live: its address leads nowhere until you switch it on.")
    return html.div({"className": "notice warn", "role": "note"}, components.icon("alert"), html.p(text))


def panel(title: str, *inside: Element) -> Element:
    return html.section({"className": "panel"}, html.h2(title), *inside)


def copied(context: PageContext, name: str, label: str, lines: str) -> Element:
    t, id = context.t, f"copied-{name}"
    field = {"readOnly": True, "value": lines, "rows": lines.count("\n") + 1, "id": id, "className": "code"}
    button = {"type": "button", "className": "button", "data-copy": id, "data-copied": t("Copied")}
    return html.div(
        {"className": "form copy", "key": id},
        html.label({"htmlFor": id}, label),
        html.textarea(field),
        html.button(button, components.icon("clipboard-check"), html.span(t("Copy"))),
    )


def script(public_url: str, key: str) -> str:
    return f'<script type="module" src="{escape(public_url)}/v1/embed/form.js" data-form="{escape(key)}"></script>'


def plain(context: PageContext, form: Form, definition: Definition, language: str) -> str:
    """What visitors of the website read, in its language and not in that of whoever copies it."""
    with context.engine.db.read() as session:
        titles = field_titles(session)
        topics = settings.load(session, settings.Topics).asked
    said = translator(language)
    offered = [one for one in topics if any(box.topics for box in definition.boxes)]
    lines = [
        f'<form method="post" action="{escape(context.app.public_url)}/f/{form.key}">',
        f'<input type="hidden" name="language" value="{language}">',
        *(
            _field(one, language, lambda name: titles.get(name) or said(FIELD_TITLES.get(name) or name.replace("_", " ")))
            for one in definition.fields
        ),
        '<input name="website" tabindex="-1" autocomplete="off" aria-hidden="true" style="position:absolute;left:-100vw">',
        *(
            f'<input type="hidden" name="shown" value="topic.{escape(one.key)}">'
            f'<label><input type="checkbox" name="topic.{escape(one.key)}" value="yes"> {escape(one.label(language))}</label>'
            for one in offered
        ),
        *(
            f'<label><input type="checkbox" name="{box.key}" value="yes"{" required" if box.required else ""}> {escape(box.wording.said(language))}</label>'
            for box in definition.boxes
        ),
        f"<button>{escape(definition.button.said(language) or said('Send'))}</button>",
        "</form>",
    ]
    return "\n".join(lines)


def _field(one: FormField, language: str, title: Callable[[str], str]) -> str:
    label = escape(one.label.said(language) or title(one.name)[:1].upper() + title(one.name)[1:])
    needed = " required" if one.required else ""
    if one.input == "textarea":
        return f'<label>{label} <textarea name="{one.name}" maxlength="{one.longest}"{needed}></textarea></label>'
    if one.input == "choice":
        options = "".join(f'<option value="{escape(choice.value)}">{escape(choice.said(language))}</option>' for choice in one.choices)
        return f'<label>{label} <select name="{one.name}"{needed}><option value=""></option>{options}</select></label>'
    if one.input == "choices":
        boxes = "".join(
            f'<label><input type="checkbox" name="{one.name}" value="{escape(choice.value)}"> {escape(choice.said(language))}</label>'
            for choice in one.choices
        )
        return f"<fieldset><legend>{label}</legend>{boxes}</fieldset>"
    if one.input == "checkbox":
        return f'<label><input type="checkbox" name="{one.name}" value="yes"{needed}> {label}</label>'
    kind = "text" if one.input == "number" else one.input
    return f'<label>{label} <input type="{kind}" name="{one.name}" maxlength="{one.longest}"{needed}></label>'
