"""Below the setting of the sign-up forms: where each form is, and the HTML that puts it into a website."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from workspace import settings

LANGUAGES = {"en": "In English", "de": "In German"}
LABELS = {"en": ("E-mail address", "Sign up"), "de": ("E-Mail-Adresse", "Anmelden")}
"""What visitors of the website read, in its language and not in that of whoever copies it."""


def panel_of(context: PageContext, setting: settings.Setting) -> Element:
    """What stands below the setting of the sign-up forms; nothing below the others."""
    if not isinstance(setting, settings.SignupForms) or not setting.forms:
        return None
    with context.engine.db.read() as session:
        topics = settings.load(session, settings.Topics).asked
    return html._(*(_form(context, form, topics if form.topics else ()) for form in setting.forms))


def _form(context: PageContext, form: settings.SignupForm, topics: Sequence[settings.Topic]) -> Element:
    t = context.t
    address = f"{context.app.public_url}/subscribe/{form.key}"
    link = html.a({"href": f"/subscribe/{form.key}", "target": "_blank", "rel": "noopener"}, address)
    written = [language for language in LANGUAGES if (form.english_wording if language == "en" else form.german_wording)]
    return panel(
        t("Form “{key}”", key=form.key),
        html.p(t("Its page:"), " ", link),
        html.p({"className": "quiet"}, t("Or put it into your website; a program that fills in every field is not taken for a person.")),
        *(_copied(context, form, language, address, topics) for language in written),
    )


def _copied(context: PageContext, form: settings.SignupForm, language: str, address: str, topics: Sequence[settings.Topic]) -> Element:
    t, lines = context.t, snippet(form, language, address, topics)
    id = f"snippet-{form.key}-{language}"
    field = {"readOnly": True, "value": lines, "rows": lines.count("\n") + 1, "id": id, "className": "code"}
    button = {"type": "button", "className": "button", "data-copy": id, "data-copied": t("Copied")}
    return html.div(
        {"className": "form copy", "key": id},
        html.label({"htmlFor": id}, t(LANGUAGES[language])),
        html.textarea(field),
        html.button(button, components.icon("clipboard-check"), html.span(t("Copy"))),
    )


def snippet(form: settings.SignupForm, language: str, address: str, topics: Sequence[settings.Topic] = ()) -> str:
    """A plain form: no script, and nothing of it is loaded from here."""
    label, button = LABELS[language]
    return "\n".join(
        (
            f'<form method="post" action="{escape(address)}">',
            f'<input type="hidden" name="language" value="{language}">',
            f'<label>{label} <input type="email" name="email" required></label>',
            '<input name="website" tabindex="-1" autocomplete="off" aria-hidden="true" style="position:absolute;left:-100vw">',
            *(
                f'<input type="hidden" name="shown" value="topic.{escape(one.key)}">'
                f'<label><input type="checkbox" name="topic.{escape(one.key)}" value="yes"> {escape(one.label(language))}</label>'
                for one in topics
            ),
            f'<label><input type="checkbox" name="agree" value="yes" required> {escape(form.wording(language))}</label>',
            f"<button>{button}</button>",
            "</form>",
        )
    )
