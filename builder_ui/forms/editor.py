"""The editor of a form as it is drawn: what people read, the fields in their order, the boxes, what happens then, and where it may stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from builder_ui.builder import widgets
from builder_ui.builder.bundle import assets
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.widgets import Form, Path, entered, small
from builder_ui.forms.writing import BOXES, FIELDS, Writing
from builder_ui.kit import components
from builder_ui.kit.context import Acts
from builder_ui.kit.labels import CHANNELS
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_ref
from crm.forms.definition import WITH_CHOICES, inputs_of, spec_of
from journeys.channels import DEFAULT, SENDABLE
from journeys.errors import Issue

LOOKS = assets()[1:]
"""The style sheet of the widgets; their script belongs to the canvas."""
TOP = ("definition",)
INPUTS = {
    "text": "One line", "textarea": "Several lines", "email": "E-mail address", "tel": "Telephone number", "number": "Number", "date": "Date",
    "choice": "One of several answers", "choices": "Several answers", "checkbox": "Yes or no",
}  # fmt: skip
QUESTIONS = ("text", "textarea", "choice", "choices", "number", "date", "checkbox")
LANGUAGES = {"en": "English", "de": "German"}
WHOSE = {"": "The browser's", **LANGUAGES}


@component
def editor(begin: Callable[[], Writing], acts: Acts) -> Element:
    """One open editor. Not the page around it: what is written stays while that is drawn anew."""
    held: Any = use_ref(None)
    if held.current is None:
        held.current = begin()
    writing: Writing = held.current
    use_topics(writing, "form")
    t = writing.context.t
    form = Form(t, writing.lookups, "form", writing.draft, writing.edit, writing.generation, writing.context.may("form.change"))

    async def save(*event: Any) -> None:
        await acts.act("form.change", writing.store, "Form saved.")(*event)
        writing.tell("form")

    parts = (read(form), asked(writing, form), consents(writing, form), then(form), places(form), opening(form), further(form))
    return html.div(
        {"className": "stack form-editor"},
        *parts,
        html.div([wrong(writing, n, issue) for n, issue in enumerate(writing.issues)]),
        html.div({"className": "actions"}, components.button(t("Save form"), save, "check", "main")) if form.editable else None,
    )


def panel(title: str, *inside: Element) -> Element:
    return html.section({"className": "panel stack"}, html.h2(title), *inside)


def labelled(form: Form, path: Path, label: str, control: Element, hint: str = "") -> Element:
    return html.div(
        {"className": "pfb-field", "key": form.key(path) + "/field"},
        html.label({"htmlFor": form.id(path)}, label),
        control,
        html.small(hint) if hint else None,
    )


def both(form: Form, path: Path, label: str, *, long: bool = False, most: int = 200, hint: str = "") -> Element:
    """A text in both languages."""
    t = form.t

    def one(language: str, name: str) -> Element:
        here = (*path, language)
        control = widgets.area(form, here, 4_000) if long else widgets.text(form, here, most=most)
        return labelled(form, here, t("{label} in {language}", label=label, language=t(name)), control)

    return html._(html.div({"className": "two"}, *(one(*pair) for pair in LANGUAGES.items())), html.small(hint) if hint else None)


def lines(form: Form, path: Path, label: str, shown: str, read: Callable[[str], Any], hint: str, rows: int = 3) -> Element:
    """Several entries, one a line."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, read(entered(event)), False)

    attributes = {"key": form.key(path), "id": form.id(path), "defaultValue": shown, "rows": rows, "onBlur": left, "maxLength": 20_000}
    return labelled(form, path, label, html.textarea({**attributes, "disabled": not form.editable}), hint)


def _split(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


# What people read


def read(form: Form) -> Element:
    t = form.t
    name = labelled(form, ("name",), t("Name"), widgets.text(form, ("name",), most=120), t("For your team; people read the title."))
    return panel(
        t("What people read"),
        name,
        both(form, (*TOP, "title"), t("Title"), most=200),
        both(form, (*TOP, "intro"), t("Introduction"), long=True),
        both(form, (*TOP, "button"), t("Button"), most=60),
    )


# Fields


def asked(writing: Writing, form: Form) -> Element:
    t, fields = form.t, writing.listed(FIELDS)
    add = html.div(
        {"className": "actions"},
        components.button(t("Add contact field"), lambda *_: writing.add_field(), "user"),
        components.button(t("Add question"), lambda *_: writing.add_question(), "plus"),
    )
    note = t(
        "Answers are written into the contact where its field is empty. A question is part of the event, so that conditions can ask for its answer."
    )
    cards = [field_card(writing, form, place, one) for place, one in enumerate(fields)]
    return panel(
        t("Fields"), html.p({"className": "quiet"}, note), html.div({"className": "pfb-list"}, cards), add if form.editable else None
    )


def card(writing: Writing, form: Form, path: Path, place: int, title: str, *inside: Element) -> Element:
    t = form.t
    buttons = [
        small(t("Up"), lambda _event: writing.raise_(path, place), t("Move “{name}” up", name=title)) if place else None,
        small(t("Remove"), lambda _event: writing.remove(path, place), t("Remove “{name}”", name=title), "danger"),
    ]
    head = html.div(
        {"className": "pfb-item-head"},
        html.h3(f"{place + 1}. {title}"),
        html.span({"className": "pfb-row"}, *(buttons if form.editable else [])),
    )
    return html.div({"className": "pfb-item", "key": f"{path[-1]}/{place}/{writing.generation}"}, head, *inside)


def field_card(writing: Writing, form: Form, place: int, one: Mapping[str, Any]) -> Element:
    path = (*FIELDS, place)
    return question_card(writing, form, path, one) if one.get("kind") == "question" else contact_card(writing, form, path, one)


def contact_card(writing: Writing, form: Form, path: Path, one: Mapping[str, Any]) -> Element:
    t, name = form.t, str(one.get("name") or "")
    choices = writing.lookups.choices["form_field"]
    spec = spec_of(writing.lookups.catalogue, name)
    inputs = [(kind, INPUTS[kind]) for kind in (inputs_of(spec) if spec is not None else ("text",))]
    title = dict(choices).get(name, name)
    which = widgets.select(form, (*path, "name"), choices, name, own=True)
    return card(
        writing,
        form,
        FIELDS,
        int(path[-1]),
        title,
        html.div(
            {"className": "two"},
            labelled(form, (*path, "name"), t("Field"), which),
            labelled(form, (*path, "input"), t("How it is filled in"), widgets.select(form, (*path, "input"), inputs, one.get("input"))),
        ),
        _answers(form, path, one),
        widgets.checkbox(form, (*path, "required"), bool(one.get("required")), t("Required")),
        html.details(
            html.summary(t("Own label and help")),
            both(form, (*path, "label"), t("Label"), most=120),
            both(form, (*path, "help"), t("Help"), most=300),
        ),
    )


def question_card(writing: Writing, form: Form, path: Path, one: Mapping[str, Any]) -> Element:
    t = form.t
    said = one.get("label") or {}
    title = str(said.get(t.language) or said.get("en") or said.get("de") or t("Question"))
    inputs = [(kind, INPUTS[kind]) for kind in QUESTIONS]
    return card(
        writing,
        form,
        FIELDS,
        int(path[-1]),
        title,
        both(form, (*path, "label"), t("Question"), most=300),
        html.div(
            {"className": "two"},
            labelled(form, (*path, "input"), t("How it is filled in"), _redrawing(form, (*path, "input"), inputs, one.get("input"))),
            labelled(
                form,
                (*path, "name"),
                t("Name in conditions"),
                widgets.text(form, (*path, "name"), most=64),
                f"answers.{one.get('name') or ''}",
            ),
        ),
        _answers(form, path, one),
        widgets.checkbox(form, (*path, "required"), bool(one.get("required")), t("Required")),
        html.details(html.summary(t("Help")), both(form, (*path, "help"), t("Help"), most=300)),
    )


def _redrawing(form: Form, path: Path, choices: Sequence[tuple[str, str]], value: Any) -> Element:
    """A choice on which other fields hang."""
    again = Form(
        form.t, form.lookups, form.target, form.raw, lambda path, value, _: form.edit(path, value, True), form.generation, form.editable
    )
    return widgets.select(again, path, choices, value)


def _answers(form: Form, path: Path, one: Mapping[str, Any]) -> Element:
    if one.get("input") not in WITH_CHOICES:
        return None
    t, here = form.t, (*path, "choices")
    shown = "\n".join(_choice_line(choice) for choice in one.get("choices") or ())
    hint = t("One a line. With labels of their own: value | English | German, such as s | Small | Klein.")
    return lines(form, here, t("Answers"), shown, lambda text: [_choice(line) for line in _split(text)], hint, 4)


def _choice_line(choice: Mapping[str, Any]) -> str:
    label = choice.get("label") or {}
    parts = [str(choice.get("value") or ""), str(label.get("en") or ""), str(label.get("de") or "")]
    return " | ".join(parts) if any(parts[1:]) else parts[0]


def _choice(line: str) -> dict[str, Any]:
    value, english, german = [*(part.strip() for part in line.split("|", 2)), "", ""][:3]
    return {"value": value, "label": {"en": english, "de": german}}


# Consents


def consents(writing: Writing, form: Form) -> Element:
    t = form.t
    note = t(
        "Nobody but the person ticks a box. What is ticked is kept with its wording. A box for e-mails counts once it is confirmed by e-mail; "
        "the others stay pending until the number writes START or a member records the consent."
    )
    cards = [box_card(writing, form, place, one) for place, one in enumerate(writing.listed(BOXES))]
    add = components.button(t("Add box"), lambda *_: writing.add_box(), "plus")
    return panel(
        t("Consents"),
        html.p({"className": "quiet"}, note),
        html.div({"className": "pfb-list"}, cards),
        html.div({"className": "actions"}, add) if form.editable else None,
    )


def box_card(writing: Writing, form: Form, place: int, one: Mapping[str, Any]) -> Element:
    t, path = form.t, (*BOXES, place)
    channels = [(name, CHANNELS[name]) for name in SENDABLE]
    purposes = writing.lookups.choices["purpose"]
    channel = widgets.select(form, (*path, "channel"), channels, one.get("channel") or DEFAULT)
    purpose = widgets.picker(form, (*path, "purpose"), purposes, optional=False, value=one.get("purpose") or "marketing")
    title = f"{t(CHANNELS[one.get('channel') or DEFAULT])}, {dict(purposes).get(one.get('purpose') or 'marketing') or one.get('purpose') or 'marketing'}"
    return card(
        writing,
        form,
        BOXES,
        place,
        title,
        html.div(
            {"className": "two"},
            labelled(form, (*path, "channel"), t("Channel"), channel),
            labelled(form, (*path, "purpose"), t("Consent purpose"), purpose),
        ),
        both(form, (*path, "wording"), t("What people agree to"), long=True),
        widgets.checkbox(form, (*path, "required"), bool(one.get("required")), t("Required")),
        widgets.checkbox(form, (*path, "topics"), bool(one.get("topics")), t("Offer the topics")),
    )


# What happens then, and where it may stand


def then(form: Form) -> Element:
    t = form.t
    path = (*TOP, "redirect")
    return panel(
        t("After sending"),
        both(form, (*TOP, "success"), t("Thanks"), long=True),
        labelled(
            form,
            path,
            t("Or go on to this page"),
            widgets.text(form, path, most=2_000),
            t("An address that begins with https://, on one of the websites below."),
        ),
    )


def places(form: Form) -> Element:
    t = form.t
    hosts = form.value((*TOP, "hosts")) or ()
    hint = t("One host a line, such as www.example.com. Only these can embed the form.")
    return panel(
        t("Websites"),
        lines(form, (*TOP, "hosts"), t("Where it may stand"), "\n".join(hosts), _split, hint),
        widgets.checkbox(form, (*TOP, "framed"), bool(form.value((*TOP, "framed"))), t("These websites may also show its page in a frame")),
        html.div(
            widgets.checkbox(form, (*TOP, "plain"), bool(form.value((*TOP, "plain"))), t("Accept it from plain HTML without a script")),
            html.small(t("Simple, but bots are told apart less well, and double clicks are two submissions.")),
        ),
    )


def opening(form: Form) -> Element:
    """When an embedded form opens by itself."""
    t, path = form.t, (*TOP, "popup")
    present = form.value(path)

    def toggle(event: Mapping[str, Any]) -> None:
        form.edit(path, {"after_seconds": 10} if event.get("target", {}).get("checked") else None, True)

    box = html.input({"type": "checkbox", "id": form.id(path), "checked": bool(present), "onChange": toggle, "disabled": not form.editable})
    label = html.label({"className": "pfb-check", "htmlFor": form.id(path)}, box, t("Open it as a pop-up"))
    if not present:
        return panel(t("Pop-up"), label)
    whole = {"type": "integer", "minimum": 0}

    def number(name: str, text: str, hint: str = "") -> Element:
        here = (*path, name)
        default = 7 if name == "days_between" else None
        value = form.value(here)
        return labelled(form, here, text, widgets.number(form, here, default if value is None else value, whole), hint)

    paths = present.get("paths") or ()
    return panel(
        t("Pop-up"),
        label,
        html.p({"className": "quiet"}, t("Whichever comes first opens it.")),
        html.div(
            {"className": "two"},
            number("after_seconds", t("After so many seconds")),
            number("after_scroll_percent", t("Once so much of the page was scrolled, in percent")),
        ),
        widgets.checkbox(form, (*path, "on_exit"), bool(present.get("on_exit")), t("When the pointer leaves the page")),
        number(
            "days_between",
            t("Not again for so many days"),
            t("For those who closed it. Who sent it in is never asked again."),
        ),
        lines(
            form,
            (*path, "paths"),
            t("Only on these pages"),
            "\n".join(paths),
            _split,
            t("Beginnings of paths, one a line, such as /shop/. Empty: on all."),
        ),
    )


def further(form: Form) -> Element:
    t = form.t
    hidden = "\n".join(f"{one.get('name')} = {one.get('value')}" for one in form.value((*TOP, "hidden")) or ())
    seconds = form.value((*TOP, "min_seconds"))
    return panel(
        t("More"),
        html.div(
            {"className": "two"},
            labelled(
                form,
                (*TOP, "language"),
                t("Language"),
                widgets.select(form, (*TOP, "language"), list(WHOSE.items()), form.value((*TOP, "language")) or ""),
            ),
            labelled(
                form,
                (*TOP, "min_seconds"),
                t("Faster than this counts as a bot (seconds)"),
                widgets.number(
                    form, (*TOP, "min_seconds"), 2 if seconds is None else seconds, {"type": "integer", "minimum": 0, "maximum": 60}
                ),
            ),
        ),
        lines(
            form,
            (*TOP, "hidden"),
            t("Fixed values"),
            hidden,
            _hidden,
            t("One a line: name = value. Every submission has them, as hidden.name; no browser can change them."),
        ),
    )


def _hidden(text: str) -> list[dict[str, str]]:
    pairs = (line.partition("=") for line in _split(text))
    return [{"name": name.strip(), "value": value.strip()} for name, _, value in pairs]


def wrong(writing: Writing, number: int, issue: Issue) -> Element:
    """A problem, with the field or box that it is about."""
    t, said = writing.context.t, issue.say(writing.context.t.translate)
    parts = (issue.field or "").split(".")
    if len(parts) > 1 and parts[1].isdecimal() and parts[0] in ("fields", "boxes"):
        n = int(parts[1]) + 1
        said = (
            t("Field {number}: {problem}", number=n, problem=said)
            if parts[0] == "fields"
            else t("Box {number}: {problem}", number=n, problem=said)
        )
    return html.p({"key": str(number), "className": "pfb-wrong error", "role": "alert"}, components.icon("alert"), said)


__all__ = ["LOOKS", "Lookups", "editor"]
