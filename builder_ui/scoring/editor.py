"""The editor of a scoring model: rules with their points, thresholds with what they do, bounds of grades, and the dry run beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from builder_ui.builder import suggestions, widgets
from builder_ui.builder.bundle import assets
from builder_ui.builder.form import draw_object
from builder_ui.builder.rule_editor import rule_field
from builder_ui.builder.widgets import Form, Path
from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link
from builder_ui.kit.context import Acts
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_ref
from builder_ui.scoring import words
from builder_ui.scoring.writing import Writing
from crm.scoring.questions import DAYS
from journeys.scoring.model import ACTIONS, MAX_POINTS

LOOKS = assets()[1:]
"""The style sheet of the rule editor; its script belongs to the canvas."""
PERIODS = (("day", "a day"), ("week", "a week"), ("month", "a month"))
FADES = (("linear", "evenly to nothing within"), ("half_life", "half of it every"))
NEW_GRADING: Mapping[str, Any] = {"fit": "fit", "engagement": "engagement", "letters": [60, 40, 20], "numbers": [60, 40, 20]}


@component
def editor(begin: Callable[[], Writing], acts: Acts, made: dict[str, str]) -> Element:
    """One open editor. Not the page around it: what is written stays while that is drawn anew."""
    held: Any = use_ref(None)
    if held.current is None:
        held.current = begin()
    writing: Writing = held.current
    use_effect(lambda: writing.close, [])
    return html.div(
        {"className": "ruled"},
        fields(writing, acts, made),
        preview(writing),
        suggestions.offers(writing.context.t, writing.lookups),
    )


@component
def fields(writing: Writing, acts: Acts, made: dict[str, str]) -> Element:
    use_topics(writing, "form")
    t, form = writing.context.t, form_of(writing)

    async def save(*event: Any) -> None:
        await acts.act("scoring.change", lambda visitor: writing.store(visitor, made), "Scoring model saved.")(*event)
        writing.tell("form")

    rules, thresholds = writing.draft.get("rules") or (), writing.draft.get("thresholds") or ()
    return html.section(
        {"className": "panel stack scoring-editor"},
        labelled(form, ("name",), t("Name"), widgets.text(form, ("name",), most=120)),
        labelled(form, ("description",), t("Description"), widgets.text(form, ("description",), most=500)),
        html.h2(t("Rules")),
        html.div([rule(writing, form, n, one) for n, one in enumerate(rules)]),
        adding(writing, form),
        html.h2(t("Thresholds")),
        html.div([threshold(writing, form, n, one) for n, one in enumerate(thresholds)]),
        small(
            form,
            t("Add threshold"),
            lambda _: writing.add("thresholds", {"group": "engagement", "at_least": 50, "actions": []}, "threshold"),
        ),
        html.h2(t("Grade")),
        grading(writing, form),
        html.div([problem(writing, n) for n in range(len(writing.issues))]),
        announcing(form) if form.editable else None,
        html.div({"className": "actions"}, components.button(t("Save scoring model"), save, "check", "main")) if form.editable else None,
    )


def form_of(writing: Writing) -> Form:
    return Form(
        writing.context.t,
        writing.lookups,
        "scoring",
        writing.draft,
        writing.edit,
        writing.generation,
        writing.context.may("scoring.change"),
        in_run=False,
    )


def labelled(form: Form, path: Path, label: str, field: Element) -> Element:
    return html.div({"className": "pfb-field", "key": form.key(path) + "/field"}, html.label({"htmlFor": form.id(path)}, label), field)


def small(form: Form, text: str, handler: Callable[[Any], None], tone: str = "") -> Element:
    return widgets.small(text, handler, tone=tone) if form.editable else None


def problem(writing: Writing, number: int) -> Element:
    """With the rule or threshold that it is about."""
    t, issue = writing.context.t, writing.issues[number]
    said, parts = issue.say(t.translate), (issue.field or "").split(".")
    where = {"rules": "Rule {place}: {problem}", "thresholds": "Threshold {place}: {problem}", "grading": "Grade: {problem}"}.get(parts[0])
    if where is not None:
        said = t(where, place=int(parts[1]) + 1 if len(parts) > 1 and parts[1].isdecimal() else "", problem=said)
    return html.p({"key": str(number), "className": f"pfb-wrong {issue.severity}", "role": "alert"}, components.icon("alert"), said)


# Rules


def adding(writing: Writing, form: Form) -> Element:
    t = writing.context.t
    stands = {"group": "fit", "points": 10, "name": "", "rule": {"combinator": "and", "rules": []}}
    happens = {"group": "engagement", "points": 5, "name": "", "event": ""}
    return html.div(
        {"className": "pfb-row pfb-adding"},
        small(form, t("Points as long as something holds"), lambda _: writing.add("rules", stands, "rule")),
        small(form, t("Points for each event"), lambda _: writing.add("rules", happens, "rule")),
    )


def rule(writing: Writing, form: Form, number: int, raw: Mapping[str, Any]) -> Element:
    """A line with score and points to be typed in place; the rest beneath it opens."""
    t, path = writing.context.t, ("rules", number)
    bounds = {"type": "integer", "minimum": -MAX_POINTS, "maximum": MAX_POINTS}
    said = words.limits(t, raw)
    opened = not (raw.get("event") or (raw.get("rule") or {}).get("rules") or ("rule" in raw and "rules" not in (raw.get("rule") or {})))
    return html.section(
        {"className": "scored", "key": str(raw.get("id"))},
        html.div(
            {"className": "pfb-row"},
            html.b({"className": "place"}, f"{number + 1}."),
            widgets.number(form, (*path, "points"), raw.get("points"), bounds, label=t("Points of rule {place}", place=number + 1)),
            html.span(t("points for")),
            widgets.picker(
                form, (*path, "group"), writing.lookups.choices["score_group"], False, label=t("Score of rule {place}", place=number + 1)
            ),
            small(form, t("Remove rule"), lambda _: writing.take(("rules",), number), "danger"),
        ),
        html.p({"className": "pfb-sentence"}, html.b(str(raw["name"]), ": ") if raw.get("name") else None, *words.asked(t, raw)),
        html.p({"className": "quiet"}, said) if said else None,
        html.details(
            {"className": "pfb-begin", **({"open": True} if opened else {})},
            html.summary({"className": "pfb-small"}, t("Change")),
            labelled(form, (*path, "name"), t("Name"), widgets.text(form, (*path, "name"), most=120)),
            happened(writing, form, path, raw) if "event" in raw else rule_field(form, (*path, "rule"), False),
        ),
    )


def happened(writing: Writing, form: Form, path: Path, raw: Mapping[str, Any]) -> Element:
    t = writing.context.t
    return html._(
        labelled(form, (*path, "event"), t("Event"), widgets.text(form, (*path, "event"), offered="event", most=200)),
        rule_field(form, (*path, "where"), True),
        html.div(
            {"className": "pfb-row"},
            html.span(t("At most")),
            widgets.number(
                form,
                (*path, "most_per", "points"),
                (raw.get("most_per") or {}).get("points"),
                {"type": "integer", "minimum": 1},
                label=t("Points per period"),
            ),
            widgets.select(form, (*path, "most_per", "per"), PERIODS, (raw.get("most_per") or {}).get("per", "day"), label=t("Period")),
            small(form, t("No limit"), lambda _: form.edit((*path, "most_per"), None, True)) if raw.get("most_per") else None,
        ),
        html.div(
            {"className": "pfb-row"},
            html.span(t("In all at most")),
            widgets.number(form, (*path, "most"), raw.get("most"), {"type": "integer", "minimum": 1}, label=t("Points in all")),
        ),
        html.div(
            {"className": "pfb-row"},
            html.span(t("Points fade")),
            widgets.select(
                form, (*path, "decay", "kind"), FADES, (raw.get("decay") or {}).get("kind", "linear"), label=t("How points fade")
            ),
            widgets.number(
                form, (*path, "decay", "days"), (raw.get("decay") or {}).get("days"), {"type": "integer", "minimum": 1}, label=t("Days")
            ),
            html.span(t("days")),
            small(form, t("They stay"), lambda _: form.edit((*path, "decay"), None, True)) if raw.get("decay") else None,
        ),
    )


# Thresholds


def threshold(writing: Writing, form: Form, number: int, raw: Mapping[str, Any]) -> Element:
    t, path = writing.context.t, ("thresholds", number)
    return html.section(
        {"className": "scored", "key": str(raw.get("id"))},
        html.div(
            {"className": "pfb-row"},
            html.b({"className": "place"}, f"{number + 1}."),
            html.span(t("When the score")),
            widgets.picker(
                form,
                (*path, "group"),
                writing.lookups.choices["score_group"],
                False,
                label=t("Score of threshold {place}", place=number + 1),
            ),
            html.span(t("reaches")),
            widgets.number(
                form, (*path, "at_least"), raw.get("at_least"), {"type": "number"}, label=t("Points of threshold {place}", place=number + 1)
            ),
            small(form, t("Remove threshold"), lambda _: writing.take(("thresholds",), number), "danger"),
        ),
        labelled(form, (*path, "name"), t("Name"), widgets.text(form, (*path, "name"), most=120)),
        html.div([action(writing, form, (*path, "actions"), n, one) for n, one in enumerate(raw.get("actions") or ())]),
        html.div({"className": "pfb-row pfb-adding"}, [more(writing, form, (*path, "actions"), kind) for kind in ACTIONS])
        if form.editable
        else None,
    )


def more(writing: Writing, form: Form, path: Path, kind: str) -> Element:
    t = writing.context.t

    def add(_event: Any) -> None:
        form.edit(path, [*(form.value(path) or ()), {"kind": kind}], True)

    return html.span({"key": kind}, widgets.small(f"+ {t(ACTIONS[kind].label)}", add))


def action(writing: Writing, form: Form, path: Path, number: int, raw: Mapping[str, Any]) -> Element:
    """The form of a step of a journey."""
    t, kind = writing.context.t, ACTIONS.get(str(raw.get("kind")))
    if kind is None:
        return None
    own = (*path, number)
    inner = replace(
        form,
        target=f"{form.target}-{'-'.join(map(str, own))}",
        raw=raw,
        edit=lambda place, value, redraw: form.edit((*own, *place), value, redraw),
    )
    return html.section(
        {"className": "acted", "key": f"{number}/{kind.kind}"},
        html.div(
            {"className": "pfb-row"},
            html.h3(components.icon(kind.icon), " ", t(kind.label)),
            small(form, t("Remove"), lambda _: writing.take(path, number), "danger"),
        ),
        html.small(t(kind.help()[0])),
        draw_object(inner, kind.form(), hidden=("name",)),
    )


# Grades


def grading(writing: Writing, form: Form) -> Element:
    t, raw = writing.context.t, writing.draft.get("grading")
    if not raw:
        return html._(
            html.p({"className": "quiet"}, t("This scoring model gives no grade.")),
            html.div(
                {"className": "pfb-row pfb-adding"},
                small(form, t("Give grades from A1 to D4"), lambda _: form.edit(("grading",), dict(NEW_GRADING), True)),
            ),
        )
    return html._(
        bounds(writing, form, "fit", "letters", t("The letter follows the score"), "ABC"),
        bounds(writing, form, "engagement", "numbers", t("The number follows the score"), "123"),
        html.div({"className": "pfb-row"}, small(form, t("Give no grade"), lambda _: form.edit(("grading",), None, True), "danger")),
    )


def bounds(writing: Writing, form: Form, group: str, name: str, label: str, marks: str) -> Element:
    t, path = writing.context.t, ("grading", name)
    found = form.value(path) or [60, 40, 20]
    numbers = [
        html.label(
            {"key": mark, "className": "pfb-row"},
            t("{grade} from", grade=mark),
            widgets.number(form, (*path, n), found[n] if n < len(found) else None, {"type": "number"}, label=t("{grade} from", grade=mark)),
        )
        for n, mark in enumerate(marks)
    ]
    picker = widgets.picker(form, ("grading", group), writing.lookups.choices["score_group"], False, label=label)
    return html._(html.div({"className": "pfb-row"}, html.span(label), picker), html.div({"className": "pfb-row bounds"}, *numbers))


def announcing(form: Form) -> Element:
    t = form.t
    return html.div(
        {"className": "pfb-field"},
        widgets.checkbox(form, ("announce",), bool(form.value(("announce",))), t("Let thresholds act for those who are above them now")),
        html.small(t("Otherwise everybody is scored silently when this is saved; only who reaches a threshold later counts.")),
    )


# The dry run


@component
def preview(writing: Writing) -> Element:
    """How the contacts of the last month would score by what is written."""
    use_topics(writing, "tried")
    t = writing.context.t

    def attempt(_event: Any) -> None:
        writing.attempt()

    return html.aside(
        {"className": "panel found-now", "aria-label": t("Dry run")},
        html.h2(t("Dry run")),
        html.p({"className": "quiet"}, t("How the contacts of the last {days} days would score. Nothing is saved.", days=t.number(DAYS))),
        components.button(t("Try it"), attempt, "play"),
        html.div({"aria-live": "polite", "aria-busy": str(writing.trying).lower()}, *tried(writing)),
    )


def tried(writing: Writing) -> list[Element]:
    t, found = writing.context.t, writing.found
    if writing.refused:
        return [html.p({"className": "pfb-wrong", "role": "alert"}, components.icon("alert"), writing.refused)]
    if found is None:
        return [html.p({"className": "quiet"}, t("Scoring …"))] if writing.trying else []
    head = t("contacts so far …") if writing.trying else t("contacts scored")
    limits = {str(one.get("id")): one for one in writing.draft.get("thresholds") or ()}
    return [
        html.p({"className": "number"}, html.b(t.number(found.scored)), html.span(head)),
        words.matrix(t, found.grades, linked=False) if found.grades else None,
        *(crossed(writing, id, one) for id, one in limits.items()),
    ]


def crossed(writing: Writing, id: str, raw: Mapping[str, Any]) -> Element:
    t, found = writing.context.t, writing.found
    assert found is not None, "it is drawn once something is found"
    name = raw.get("name") or f"{raw.get('group')} ≥ {raw.get('at_least')}"
    text = t(
        "{above} would be at this threshold or above it, {new} of them are not there now.",
        above=t.number(found.above.get(id, 0)),
        new=t.number(found.crossed.get(id, 0)),
    )
    some = [html.li({"key": one}, contact_link(t, one, writing.names.get(one) or None)) for one in found.examples.get(id, ())]
    return html.section({"key": id}, html.h3(str(name)), html.p(text), html.ul({"className": "used"}, some) if some else None)
