"""The languages of a template: which one is open, another one, one less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_ref
from builder_ui.templates.session import Writing
from builder_ui.templates.words import locale_name


@component
def tabs(writing: Writing) -> Element:
    use_topics(writing, "tabs", "head")
    t = writing.t
    found = [
        html.button(
            {
                "key": locale,
                "type": "button",
                "className": "tab here" if locale == writing.locale else "tab",
                "aria-pressed": str(locale == writing.locale).lower(),
                "onClick": lambda _event, locale=locale: writing.open(locale),
            },
            locale_name(t, locale),
        )
        for locale in writing.variants
    ]
    return html.div(
        {"className": "tpl-tabs"},
        html.div({"className": "tabs", "role": "group", "aria-label": t("Languages")}, found),
        html.div({"className": "actions"}, *_language_acts(writing)) if writing.editable else None,
    )


def _language_acts(writing: Writing) -> list[Element]:
    t, others = writing.t, [one for one in writing.variants if one != writing.locale]
    copies = [(t("From {language}", language=locale_name(t, one)), lambda _event, one=one: writing.copy_from(one)) for one in others]
    offered: list[Element] = [adding(writing)]
    if others:
        hint = t("Replaces the texts of this language. Ctrl+Z in a field brings its text back.")
        offered.append(components.choose(t("Copy"), hint, copies, "clipboard-check"))
        question = t("The texts in this language are removed. Contacts who speak it get another language.")
        remove = lambda _event: writing.remove_language()  # noqa: E731
        offered.append(components.ask(t("Remove"), question, t("Remove the language"), remove, "ban", "danger"))
    return offered


@component
def adding(writing: Writing) -> Element:
    """Another language; what was typed waits here for the button."""
    t = writing.t
    wanted = use_ref({"locale": "", "origin": writing.locale})

    def typed(event: Mapping[str, Any]) -> None:
        wanted.current["locale"] = str(event["target"].get("value") or "")[:35]

    def chosen(event: Mapping[str, Any]) -> None:
        wanted.current["origin"] = str(event["target"].get("value") or "")

    suggested = next((one for one in ("de", "en", "default", "fr", "it") if one not in writing.variants), "")
    origins = [html.option({"key": one, "value": one}, locale_name(t, one)) for one in writing.variants]
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, components.icon("pencil"), t("Add a language")),
        html.div(
            {"className": "question"},
            html.label(
                t("Language, such as de or de-CH; “default” for everyone else"),
                html.input({"type": "text", "placeholder": suggested, "maxLength": 35, "onBlur": typed, "autoComplete": "off"}),
            ),
            html.label(
                t("Begin with the texts of"),
                html.select(
                    {"defaultValue": writing.locale, "onChange": chosen}, origins, html.option({"key": "", "value": ""}, t("nothing"))
                ),
            ),
            html.button(
                {
                    "type": "button",
                    "className": "button main",
                    "onClick": lambda _event: writing.add_language(wanted.current["locale"] or suggested, wanted.current["origin"]),
                },
                t("Add"),
            ),
        ),
    )
