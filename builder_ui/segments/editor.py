"""The editor of a segment as it is drawn: name and description, the rule, whom it finds, and the button that stores it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from builder_ui.builder import suggestions, widgets
from builder_ui.builder.bundle import assets
from builder_ui.builder.rule_editor import rule_field
from builder_ui.builder.widgets import Form
from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link
from builder_ui.kit.context import Acts
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_ref
from builder_ui.segments import uses
from builder_ui.segments.writing import MOST_SECONDS, Found, Writing
from journeys.errors import Issue

LOOKS = assets()[1:]
"""The style sheet of the rule editor; its script belongs to the canvas."""
NAME_CHARACTERS, DESCRIPTION_CHARACTERS = 120, 500


@component
def editor(begin: Callable[[], Writing], acts: Acts, used: Sequence[uses.Place], made: dict[str, str]) -> Element:
    """One open editor. Not the page around it: what is written stays while that is drawn anew."""
    held: Any = use_ref(None)
    if held.current is None:
        held.current = begin()
    writing: Writing = held.current
    use_effect(lambda: _open(writing), [])
    return html.div(
        {"className": "ruled"},
        fields(writing, acts, used, made),
        preview(writing) if writing.live else None,
        suggestions.offers(writing.context.t, writing.lookups) if writing.live else None,
    )


def _open(writing: Writing) -> Callable[[], None]:
    if writing.live:
        writing.count_soon(0)
    return writing.close


@component
def fields(writing: Writing, acts: Acts, used: Sequence[uses.Place], made: dict[str, str]) -> Element:
    use_topics(writing, "form")
    t, form = writing.context.t, form_of(writing)

    async def save(*event: Any) -> None:
        await acts.act("segment.change", lambda visitor: writing.store(visitor, made), "Segment saved.")(*event)
        writing.tell("form")

    return html.section(
        {"className": "panel stack"},
        _labelled(form, "name", t("Name"), widgets.text(form, ("name",), most=NAME_CHARACTERS)),
        _labelled(form, "description", t("Description"), widgets.text(form, ("description",), most=DESCRIPTION_CHARACTERS)),
        html._(html.h2(t("Who belongs to it")), rule_field(form, ("rule",), False)) if writing.live else None,
        html.div([wrong(writing, n, issue) for n, issue in enumerate(writing.issues)]),
        announcing(writing, form) if writing.live else None,
        depending(writing, used) if writing.key else own_key(writing, form),
        html.div({"className": "actions"}, components.button(t("Save segment"), save, "check", "main")),
    )


def form_of(writing: Writing) -> Form:
    return Form(
        writing.context.t,
        writing.lookups,
        "segment",
        writing.draft,
        writing.edit,
        writing.generation,
        writing.context.may("segment.change"),
        in_run=False,
    )


def _labelled(form: Form, name: str, label: str, field: Element) -> Element:
    return html.div({"className": "pfb-field"}, html.label({"htmlFor": form.id((name,))}, label), field)


def own_key(writing: Writing, form: Form) -> Element:
    t = writing.context.t
    field = widgets.text(form, ("key",), most=64, default=t("made from the name"))
    return html.details({"className": "own-key"}, html.summary(t("For engineers")), _labelled(form, "key", t("Key"), field))


def announcing(writing: Writing, form: Form) -> Element:
    """Whether those who are in it once it is filled enter and leave with a word."""
    t = writing.context.t
    return html.div(
        {"className": "pfb-field"},
        widgets.checkbox(form, ("announce",), bool(writing.draft.get("announce")), t("Tell journeys about those who are found now")),
        html.small(
            t(
                "Otherwise filling the segment starts no journey and ends none; only who enters or leaves later counts. "
                "It applies when the rule is saved."
            )
        ),
    )


def depending(writing: Writing, used: Sequence[uses.Place]) -> Element:
    """What a change of the rule changes, too."""
    if not used:
        return None
    t = writing.context.t
    return html.div(
        {"className": "notice warn", "role": "note"},
        components.icon("alert"),
        html.div(html.p(t("These use this segment, and follow a change of it:")), uses.links(used)),
    )


def wrong(writing: Writing, number: int, issue: Issue) -> Element:
    """A problem, with the condition that it is about."""
    t, said = writing.context.t, issue.say(writing.context.t.translate)
    place = condition(issue.field or "")
    text = t("Condition {place}: {problem}", place=place, problem=said) if place else said
    return html.p({"key": str(number), "className": f"pfb-wrong {issue.severity}", "role": "alert"}, components.icon("alert"), text)


def condition(path: str) -> str:
    """`rule.rules.1.rules.0.value` -> `2.1`; empty for what is about no condition."""
    parts = path.split(".")
    return ".".join(str(int(after) + 1) for before, after in pairwise(parts) if before == "rules" and after.isdecimal())


@component
def preview(writing: Writing) -> Element:
    """How many the rule finds, and a few of them."""
    use_topics(writing, "count")
    t = writing.context.t
    return html.aside(
        {"className": "panel found-now", "aria-label": t("Who would be in it now")},
        html.h2(t("Who would be in it now")),
        html.div({"aria-live": "polite", "aria-busy": str(writing.counting).lower()}, *said(writing)),
    )


def said(writing: Writing) -> list[Element]:
    t, found = writing.context.t, writing.found
    if found is None:
        return [html.p({"className": "quiet"}, t("Counting …") if writing.counting else t("Add a condition to see whom it finds."))]
    if found.refused:
        return [html.p({"className": "pfb-wrong", "role": "alert"}, components.icon("alert"), found.refused)]
    if found.issues:
        return [
            html.p({"className": "quiet"}, t("The rule is not complete yet:")),
            *(wrong(writing, n, issue) for n, issue in enumerate(found.issues)),
        ]
    return [_number(writing, found), *_sample(writing, found)]


def _number(writing: Writing, found: Found) -> Element:
    t = writing.context.t
    if found.count is None:
        seconds = t.number(MOST_SECONDS)
        return html.p(
            t("Counting takes longer than {seconds} seconds here. The number is known once the segment is saved.", seconds=seconds)
        )
    text = t("Counting …") if writing.counting else t("contacts")
    return html.p({"className": "number"}, html.b(t.number(found.count)), html.span(text))


def _sample(writing: Writing, found: Found) -> list[Element]:
    t = writing.context.t
    if not found.sample:
        return []
    some = html.ul({"className": "used"}, [html.li({"key": id}, contact_link(t, id, name or None)) for id, name in found.sample])
    return [html.h3(t("For example")), some]
